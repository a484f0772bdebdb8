"""Clients that people already have draw through Limner, unmodified."""

import shutil

import pytest

from tests.clients.conftest import passed, run
from tools import clients, sdks

PYTHON = clients.python()
NODE = clients.node()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("sdk", PYTHON, ids=[one.script.stem for one in PYTHON])
async def test_an_unmodified_python_client_draws_through_limner(house, sdk, tmp_path):
    if not sdk.python.exists():
        pytest.skip(f"{' '.join(sdk.pins)} is not installed; make sdks does that")
    code, said = await run(sdk.python, "-X", "faulthandler", sdk.script, house, home=tmp_path)
    assert passed(code, said), said


@pytest.mark.parametrize("script", NODE, ids=[one.stem for one in NODE])
async def test_an_unmodified_node_client_draws_through_limner(house, script, tmp_path):
    packages = clients.node_home() / "node_modules"
    if shutil.which("node") is None or not packages.exists():
        pytest.skip(
            "Node 20 or later, or the packages for it, are not installed; make clients does the latter"
        )
    (tmp_path / "node_modules").symlink_to(packages)
    for one in (script, script.with_name("checks.mjs")):
        shutil.copy(one, tmp_path)
    code, said = await run("node", tmp_path / script.name, house, home=tmp_path)
    assert passed(code, said), said


async def test_openais_python_client_is_the_one_that_proves_the_simulator():
    assert {one.home for one in PYTHON} <= {one.home for one in sdks.find()}
