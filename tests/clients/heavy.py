"""Clients that take long to install; `make clients` runs them: pytest reads this file only when told to."""

import pytest

from tests.clients.conftest import passed, run
from tools import clients

MORE = clients.more()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("sdk", MORE, ids=[one.script.stem for one in MORE])
async def test_an_unmodified_client_draws_through_limner(house, sdk, tmp_path):
    code, said = await run(sdk.python, sdk.script, house, home=tmp_path)
    assert passed(code, said), said
