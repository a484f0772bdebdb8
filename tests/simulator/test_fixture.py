from limner.simulator import find


async def test_the_fixture_is_a_running_simulator_of_all_that_is_installed(simulator, bare):
    async with bare.get(simulator.url + "/__emu") as answer:
        names = [vendor["name"] for vendor in (await answer.json())["vendors"]]
    assert names == list(find.installed())


pytest_plugins = ["pytester"]

A_TEST = """
import aiohttp
from aiohttp import web
from limner.simulator import find
from limner.simulator.vendor import Vendor, route

pytest_plugins = ["limner.simulator.fixture"]


class Clumsy(Vendor):
    name, base, key = "clumsy", "/", ""
    def routes(self): return [route("GET", "/", self.fall)]
    def error(self, word, request): return web.Response(status=500)
    async def fall(self, request): raise RuntimeError("fell")


find.installed = lambda: {"clumsy": Clumsy}


async def test_quiet(simulator):
    assert simulator.base("clumsy")


async def test_loud(simulator):
    async with aiohttp.request("GET", simulator.base("clumsy")) as answer:
        assert answer.status == 500
"""


def test_a_vendor_that_breaks_fails_the_test_that_used_it(pytester, monkeypatch):
    monkeypatch.setattr(find, "installed", find.installed)  # the inner test runs here too: put it back
    pytester.makepyfile(A_TEST)
    options = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    outcome = pytester.runpytest_inprocess(*(word for option in options for word in ("-o", option)))
    outcome.assert_outcomes(passed=2, errors=1)
    outcome.stdout.fnmatch_lines(["*made mistakes of its own: clumsy GET /clumsy/: RuntimeError('fell')"])
