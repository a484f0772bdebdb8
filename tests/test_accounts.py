"""Accounts as the planner and whoever places an order see them."""

from decimal import Decimal

import pytest
from pydantic import SecretStr

from limner.accounts import Accounts, Opened, open_accounts, set_up
from limner.app import Limner
from limner.catalog.load import Catalog
from limner.catalog.model import ProviderEntry
from limner.config import AccountSettings, Settings
from limner.core.errors import NoRoute, SetupError, Unauthorized
from limner.providers.base import Health, Provider
from limner.router.account import Account
from limner.router.pulse import Pulse
from tests.fakes import Desk, done, limner, model, queued, request, target, until, vendor


def kind(name: str, **changes) -> type[Provider]:
    made = vendor(Desk(), name)
    for field, value in ({"needs_key": True} | changes).items():
        setattr(made, field, value)
    return made


EASEL = kind("easel", key_env=("EASEL_API_KEY",), model_env=("EASEL_MODEL",))
OWN = kind(
    "own-box", needs_key=False, self_hosted=True, url_env=("OWN_HOST",), base_url="http://127.0.0.1:77/"
)


def settings(tables=None, disabled=(), **variables) -> Settings:
    return Settings(
        accounts={name: AccountSettings(**table) for name, table in (tables or {}).items()},
        variables={name: SecretStr(value) for name, value in variables.items()},
        disabled_providers=disabled,
    )


def opened(found: Settings, *kinds, catalog=None, pulse=None) -> Accounts:
    by_name = {one.name: one for one in kinds}
    here = open_accounts(by_name, found, catalog or Catalog.of([]), None, None)
    return Accounts(here, pulse or Pulse(5, 600.0))


def wires(accounts: Accounts) -> dict[str, tuple[str, dict[str, str]]]:
    return {one.name: (one.provider.wire.address, one.provider.wire._headers) for one in accounts}


def test_an_account_without_its_key_is_not_configured_and_says_what_is_missing():
    (one,) = opened(settings(), EASEL).now()
    assert one == Account(
        provider="easel",
        name="easel",
        obstacle="No API key configured for easel: set EASEL_API_KEY",
        passing=False,
        configured=False,
    )


def test_a_provider_on_ones_own_machine_needs_its_address_first():
    (one,) = opened(settings(), OWN).now()
    assert (one.configured, one.local) == (False, True)
    assert one.obstacle == "No address configured for own-box: set OWN_HOST"
    (there,) = opened(settings(OWN_HOST="gpu"), OWN).now()
    assert (there.configured, there.obstacle) == (True, None)
    assert wires(opened(settings(OWN_HOST="gpu"), OWN)) == {"own-box": ("http://gpu:77/", {})}


def test_without_a_vendors_own_names_limners_are_named():
    assert "set LIMNER_NAMELESS_KEY" in opened(settings(), kind("nameless")).now()[0].obstacle


def test_every_account_gets_its_own_key_address_and_model():
    tables = {
        "easel": {"key": "sk-1"},
        "work": {"provider": "easel", "key": "sk-2", "url": "http://w", "model": "m"},
    }
    accounts = opened(settings(tables, EASEL_MODEL="n"), EASEL)
    assert wires(accounts) == {
        "easel": ("http://127.0.0.1:9/", {"Authorization": "Bearer sk-1"}),
        "work": ("http://w/", {"Authorization": "Bearer sk-2"}),
    }
    assert [(one.name, one.provider, one.model) for one in accounts.now()] == [
        ("easel", "easel", "n"),
        ("work", "easel", "m"),
    ]


def test_a_provider_that_cannot_draw_is_never_configured():
    catalog = Catalog.of([model()])
    entry = ProviderEntry(title="Easel", description="", website="", cannot_draw="Easel draws nothing now")
    catalog.entry = {"easel": entry}.get
    (one,) = opened(settings(EASEL_API_KEY="sk-1"), EASEL, catalog=catalog).now()
    assert (one.configured, one.obstacle) == (False, "Easel draws nothing now")


def test_two_accounts_of_one_name_are_refused():
    said = (
        "limner.toml: two accounts are called 'easel', at easel and at own-box; "
        r"give the table \[accounts\.easel\] another name"
    )
    with pytest.raises(SetupError, match=said):
        opened(settings({"easel": {"provider": "own-box", "url": "http://h"}}), EASEL, OWN)
    numbered = settings({"own-box-2": {"provider": "easel", "key": "sk-1"}}, OWN_HOST="a,b")
    with pytest.raises(SetupError, match="two accounts are called 'own-box-2'"):
        opened(numbered, EASEL, OWN)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            settings({"esel": {"key": "sk-1"}}),
            "limner.toml: [accounts.esel]: no provider is called 'esel'; known: easel, own-box",
        ),
        (
            settings({"work": {"provider": "esel"}}),
            "limner.toml: [accounts.work]: no provider is called 'esel'; known: easel, own-box",
        ),
        (
            settings(LIMNER_ESEL_KEY="sk-hush"),
            "LIMNER_ESEL_KEY is not a setting of Limner: no provider is called 'esel'; known: easel, own-box",
        ),
        (
            settings(LIMNER_EASEL_API_KEY="sk-hush"),
            (
                "LIMNER_EASEL_API_KEY is not a setting of Limner: "
                "no provider is called 'easel_api'; known: easel, own-box"
            ),
        ),
    ],
)
def test_settings_of_a_provider_that_is_not_there_are_refused(found: Settings, said: str):
    with pytest.raises(SetupError) as caught:
        opened(found, EASEL, OWN)
    assert str(caught.value) == said


def test_settings_of_a_provider_that_is_switched_off_and_of_other_programs_are_fine():
    found = settings({"gone": {"key": "sk"}}, ("gone",), LIMNER_GONE_URL="http://h", GITHUB_TOKEN="t")
    assert [one.name for one in opened(found, EASEL)] == ["easel"]


def test_set_up_are_those_that_lack_nothing():
    kinds = {one.name: one for one in (EASEL, OWN, kind("local", needs_key=False))}
    assert set_up(kinds, settings()) == {"local"}
    assert set_up(kinds, settings(EASEL_API_KEY="sk", LIMNER_OWN_BOX_URL="h")) == {
        "local",
        "easel",
        "own-box",
    }
    one_of_two = settings({"a": {"provider": "easel"}, "b": {"provider": "easel", "key": "sk"}})
    assert set_up(kinds, one_of_two) == {"local", "easel"}


def test_a_resting_account_may_recover_and_one_that_is_watched_says_for_itself():
    pulse = Pulse(5, 600.0)
    accounts = opened(settings(EASEL_API_KEY="sk"), EASEL, pulse=pulse)
    (one,) = accounts
    pulse.failed("easel", Unauthorized("bad key"), now=100.0)
    shown = accounts.shown(one, 101.0)
    assert (shown.obstacle, shown.passing, shown.configured) == ("rests for 299 s: bad key", True, True)
    watched = Opened("easel", one.provider, watched=lambda: "the engine cannot start")
    shown = Accounts(iter([watched]), pulse).shown(watched, 101.0)
    assert (shown.obstacle, shown.passing, shown.configured) == ("the engine cannot start", False, True)


def test_orders_under_way_are_an_accounts_load():
    pulse = Pulse(5, 600.0)
    accounts = opened(settings(EASEL_API_KEY="sk"), EASEL, pulse=pulse)
    with pulse.ordering("easel", 0.0), pulse.ordering("easel", 0.0):
        assert accounts.now()[0].load == 2
    assert accounts.now()[0].load == 0


def test_an_account_that_is_not_there_any_more_may_come_back():
    with pytest.raises(NoRoute, match="the account mural is not set up here any more") as caught:
        opened(settings(), EASEL).provider(target("mural"))
    assert caught.value.passing


# -- through Limner --------------------------------------------------------------------------------------


async def test_of_two_accounts_the_idle_one_is_asked_and_both_are_told(home):
    desk = Desk(submits=[queued()], polls=[queued()])
    tables = {"one": AccountSettings(provider="easel"), "two": AccountSettings(provider="easel")}
    async with limner(home, vendor(desk), accounts=tables) as app:
        for seed in (1, 2):
            await app.generate(request(seed=seed))
            await until(lambda seed=seed: len(desk.polled) >= seed and len(desk.bill) == seed)
        desk.polls[:] = [done()]
        jobs = [await app.wait(job.id) for job in await app.jobs()]
        told = [(one.name, one.account, one.available) for one in await app.providers()]
    assert {job.receipt.attempts[0].account for job in jobs} == {"one", "two"}
    assert told == [("easel", "one", True), ("easel", "two", True)]


async def test_a_bad_key_of_one_account_leaves_the_other_at_work(home):
    desk = Desk(submits=[Unauthorized("bad key"), done()])
    tables = {"one": AccountSettings(provider="easel"), "two": AccountSettings(provider="easel")}
    async with limner(home, vendor(desk), accounts=tables) as app:
        job = await app.draw(request())
        reasons = {one.account: one.reason for one in await app.providers()}
    assert [(one.account, one.state) for one in job.receipt.attempts] == [
        ("one", "refused"),
        ("two", "settled"),
    ]
    assert reasons == {"one": "rests for 300 s: bad key", "two": "Available"}
    assert job.receipt.cost_usd == Decimal("0.04")


async def test_an_account_without_a_key_is_passed_over_and_said_to_who_names_it(home):
    keyless = kind("mural", key_env=("MURAL_KEY",))
    async with limner(home, vendor(Desk()), keyless) as app:
        assert (await app.draw(request())).images[0].provider == "easel"
        with pytest.raises(NoRoute, match="No API key configured for mural: set MURAL_KEY"):
            await app.generate(request(provider="mural"))
        assert await app.ready() == []
        found = {one.name: (one.available, one.reason) for one in await app.providers()}
    assert found == {
        "easel": (True, "Available"),
        "mural": (False, "No API key configured for mural: set MURAL_KEY"),
    }


async def test_who_has_set_up_nobody_is_told_at_start_and_by_ready(home):
    async with limner(home, kind("mural", key_env=("MURAL_KEY",))) as app:
        assert await app.ready() == ["no provider is switched on; see the setting disabled_providers"]


async def test_no_key_and_no_password_of_an_address_is_told_by_providers(home):
    tables = {"easel": AccountSettings(key=SecretStr("sk-hush"), url="http://me:hush@127.0.0.1:9")}
    desk = Desk(probe=Health(ok=False, reason="closed"))
    async with limner(home, vendor(desk), accounts=tables) as app:
        (one,) = await app.providers()
    assert "hush" not in repr(one)
    assert one.address == "http://127.0.0.1:9/"


async def test_a_wrong_account_stops_the_start_and_leaves_nothing_behind(home):
    app = limner(home, vendor(Desk()), accounts={"esel": AccountSettings(url="http://h")})
    assert isinstance(app, Limner)
    with pytest.raises(SetupError, match=r"\[accounts\.esel\]: no provider is called 'esel'"):
        await app.__aenter__()
    async with limner(home, vendor(Desk())) as app:
        assert (await app.draw(request())).state == "succeeded"
