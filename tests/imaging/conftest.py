import pytest

from tests.imaging.pictures import SAVED


@pytest.fixture(params=SAVED)
def form(request):
    """Every kind of file that a picture may come in."""
    return request.param
