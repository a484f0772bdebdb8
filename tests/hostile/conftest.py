from collections.abc import Iterator

import httpx
import pytest

from tests.hostile.house import House, Net, serving


@pytest.fixture(autouse=True)
def _no_network():
    """The house's own net is tighter: in it every call is written down."""


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("hostile") / "home"
    with Net().cast() as net, serving(home) as (url, _limner):
        net.own.add(int(url.rpartition(":")[2]))
        with httpx.Client(base_url=url, timeout=60) as web:
            yield House(url, home, net, web)


@pytest.fixture
def house(running: House) -> Iterator[House]:
    """The server, which stands afterwards as before: nothing asked elsewhere, nothing kept, alive."""
    running.net.asked.clear()
    before = running.left()
    yield running
    assert running.net.asked == []
    assert running.left() == before
    assert running.web.get("/healthz").status_code == 200
