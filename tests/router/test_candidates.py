"""Which models a caller's words mean."""

from datetime import date
from decimal import Decimal

import pytest

from limner.catalog.model import Price, Sizes
from limner.core.errors import InvalidRequest, NoRoute, OverBudget
from limner.core.quote import Note
from limner.core.request import Policy
from limner.router.account import Account
from limner.router.candidates import candidates
from limner.router.plan import plan
from tests.fakes import model, request

TODAY = date(2026, 11, 20)
NEW = model("easel", id="new", ref="easel/new", aliases=("latest",))
OLD = model("easel", id="old", ref="easel/old", retired=date(2026, 1, 1), successor="new")
ANY = model("box", "0", id="box-any", ref="", open=True)
UNSET = "No API key configured"


def here(*accounts: Account) -> dict[str, list[Account]]:
    found: dict[str, list[Account]] = {}
    for one in accounts:
        found.setdefault(one.provider, []).append(one)
    return found


def account(provider, name=None, **changes) -> Account:
    return Account(provider, name or provider, **changes)


def unset(provider) -> Account:
    return account(provider, obstacle=UNSET, passing=False, configured=False)


def meant(wanted, models, *accounts, today=TODAY):
    """(provider, id, notes) of each candidate."""
    found = candidates(request(**wanted), models, here(*accounts), today)
    return [(one.model.provider, one.model.id, one.notes) for one in found]


def routed(wanted, models, *accounts, today=TODAY):
    route = plan(request(**wanted), models, accounts, today=today)
    return [(one.account, one.model) for one in route.targets]


# -- retired models --------------------------------------------------------------------------------------

RETIRED = Note(field="model", message="old was retired by easel on 2026-01-01; new draws instead")


@pytest.mark.parametrize("name", ["old", "easel/old"])
def test_a_retired_models_name_is_served_by_its_successor_with_a_note(name):
    assert meant({"model": name}, [OLD, NEW], account("easel")) == [("easel", "new", (RETIRED,))]
    (target,) = plan(request(model=name), [OLD, NEW], [account("easel")], today=TODAY).targets
    assert (target.model, target.ref, target.notes) == ("new", "easel/new", (RETIRED,))


def test_strict_refuses_a_successor():
    wanted = request(model="old", policy=Policy(strict=True))
    with pytest.raises(InvalidRequest, match="strict: old was retired by easel") as caught:
        plan(wanted, [OLD, NEW], [account("easel")], today=TODAY)
    assert caught.value.field == "model"


def test_a_model_is_its_own_until_the_day_it_retires():
    assert meant({"model": "old"}, [OLD, NEW], account("easel"), today=date(2025, 12, 31)) == [
        ("easel", "old", ())
    ]
    assert meant({"model": "old"}, [OLD, NEW], account("easel"), today=date(2026, 1, 1)) == [
        ("easel", "new", (RETIRED,))
    ]
    unnamed = [one[1] for one in meant({}, [OLD, NEW], account("easel"), today=date(2025, 12, 31))]
    assert unnamed == ["old", "new"]
    assert [one[1] for one in meant({}, [OLD, NEW], account("easel"))] == ["new"]


@pytest.mark.parametrize("successor", [None, "nobody", "elsewhere"])
def test_without_a_successor_at_its_provider_a_retired_model_is_still_asked_by_name(successor):
    gone = OLD.model_copy(update={"successor": successor})
    elsewhere = model("mural", id="elsewhere")
    found = meant({"model": "old"}, [gone, NEW, elsewhere], account("easel"), account("mural"))
    assert found == [("easel", "old", ())]


def test_a_retired_model_stands_in_for_nobody():
    gone = model("mural", id="gone", retired=date(2026, 1, 1), stands_in_for=("dall-e-9",))
    current = model("local", "0", id="now", stands_in_for=("dall-e-9",))
    accounts = account("mural"), account("local")
    assert meant({"model": "dall-e-9"}, [gone, current], *accounts) == [("local", "now", ())]


# -- names and who serves them ---------------------------------------------------------------------------


def test_what_stands_in_does_so_only_when_nobody_who_is_set_up_has_the_name():
    real, stand_in = model("easel", id="dall-e-9"), model("local", "0", stands_in_for=("dall-e-9",))
    wanted = {"model": "dall-e-9"}
    both = [real, stand_in]
    assert routed(wanted, both, account("easel"), account("local")) == [("easel", "dall-e-9")]
    assert routed(wanted, both, unset("easel"), account("local")) == [("local", "local-model")]
    resting = account("easel", obstacle="rests for 3 s")
    with pytest.raises(NoRoute, match="easel/dall-e-9: rests for 3 s") as caught:
        routed(wanted, both, resting, account("local"))
    assert caught.value.passing


def test_where_nobody_at_all_is_set_up_everybody_is_named():
    real, stand_in = model("easel", id="dall-e-9"), model("mural", stands_in_for=("dall-e-9",))
    with pytest.raises(NoRoute) as caught:
        routed({"model": "dall-e-9"}, [real, stand_in], unset("easel"), unset("mural"))
    assert caught.value.reasons == {"easel/dall-e-9": UNSET, "mural/mural-model": UNSET}


def test_who_is_not_set_up_is_mentioned_only_to_callers_who_name_it():
    models = [model("easel"), model("mural")]
    route = plan(request(), models, [account("easel"), unset("mural")], today=TODAY)
    assert route.passed_over == ()
    for named in ({"provider": "mural"}, {"model": "mural-model"}):
        with pytest.raises(NoRoute, match=f"mural/mural-model: {UNSET}"):
            routed(named, models, account("easel"), unset("mural"))


def test_a_model_of_several_providers_is_asked_of_those_that_are_set_up():
    models = [model("easel", id="flux"), model("mural", id="flux"), model("fresco", id="flux")]
    found = routed({"model": "flux"}, models, account("easel"), unset("mural"), account("fresco"))
    assert found == [("easel", "flux"), ("fresco", "flux")]


def test_a_provider_that_is_known_and_draws_nothing_says_why():
    silent = account("groq", obstacle="Groq draws no pictures", configured=False)
    with pytest.raises(NoRoute, match="groq: Groq draws no pictures") as caught:
        meant({"provider": "groq"}, [NEW], silent, account("easel"))
    assert caught.value.reasons == {"groq": "Groq draws no pictures"}
    with pytest.raises(NoRoute, match="groq: it has no models that draw"):
        meant({"provider": "groq"}, [NEW], account("groq"))


def test_long_names_are_cut_and_near_ones_suggested():
    with pytest.raises(InvalidRequest) as caught:
        meant({"model": "x" * 200}, [NEW], account("easel"))
    assert len(str(caught.value)) < 200
    with pytest.raises(InvalidRequest, match="did you mean 'latest'"):
        meant({"model": "latst"}, [NEW], account("easel"))
    with pytest.raises(InvalidRequest, match="unknown provider 'x'; known: none"):
        meant({"provider": "x"}, [NEW])


# -- entries for any name --------------------------------------------------------------------------------


def test_any_name_after_the_providers_is_the_vendors_own():
    found = plan(request(model="box/some/Model:v1"), [ANY], [account("box")], today=TODAY).targets
    assert [(one.model, one.ref, one.price_usd) for one in found] == [
        ("some/Model:v1", "some/Model:v1", Decimal(0))
    ]


def test_a_listed_model_is_itself_also_where_any_name_is_taken():
    listed = model("box", id="known", ref="vendor/known")
    for name in ("known", "vendor/known", "box/known", "box/vendor/known"):
        assert meant({"model": name}, [ANY, listed], account("box")) == [("box", "known", ())]
    assert meant({"model": "box/vendor/other"}, [ANY, listed], account("box")) == [
        ("box", "vendor/other", ())
    ]


def test_without_a_name_an_entry_for_any_name_is_no_candidate():
    assert meant({}, [ANY, NEW], account("box"), account("easel")) == [("easel", "new", ())]
    with pytest.raises(
        InvalidRequest, match="box serves any model by its name: say model box/NAME"
    ) as caught:
        meant({"provider": "box"}, [ANY], account("box"))
    assert caught.value.field == "model"


def test_an_example_name_serves_who_names_the_provider_alone():
    example = ANY.model_copy(update={"ref": "owner/example"})
    assert meant({"provider": "box"}, [example], account("box")) == [("box", "box-any", ())]
    assert meant({}, [example, NEW], account("box"), account("easel")) == [("easel", "new", ())]


def test_each_account_is_asked_for_its_own_default_and_for_no_others():
    accounts = (
        account("box", "one", model="sdxl"),
        account("box", "two", model="flux"),
        account("box", "three"),
    )
    assert routed({}, [ANY], *accounts) == [("one", "sdxl"), ("two", "flux")]
    assert routed({"model": "box/sdxl"}, [ANY], *accounts) == [
        ("one", "sdxl"),
        ("two", "sdxl"),
        ("three", "sdxl"),
    ]
    same = account("box", "one", model="sdxl"), account("box", "two", model="sdxl", load=-1)
    assert routed({}, [ANY], *same) == [("two", "sdxl"), ("one", "sdxl")]


def test_the_default_of_an_account_that_is_not_set_up_is_not_asked_for():
    found = account("box", "one", model="sdxl", obstacle=UNSET, configured=False), account("box", "two")
    with pytest.raises(InvalidRequest, match="say model box/NAME"):
        meant({"provider": "box"}, [ANY], *found)


# -- what the whole plan makes of them -------------------------------------------------------------------


def at(usd, name="easel", **changes):
    return model(name, usd, **changes)


def followers(first, second, **policy):
    wanted = request(policy=Policy(prefer="listed", **policy))
    route = plan(wanted, [first, second], [account(first.provider), account(second.provider)], today=TODAY)
    return [one.provider for one in route.targets[1:]], [one.reason for one in route.passed_over]


DEARER = "not fallen back to: dearer than easel/easel-model; policy.max_cost_usd allows more"
OTHER_TIER = "not fallen back to: high, not standard; policy.substitutes allows it"


@pytest.mark.parametrize(
    ("first", "second", "policy", "expected"),
    [
        ("0.04", at("0.04", "mural"), {}, (["mural"], [])),
        ("0.04", at("0.03", "mural"), {}, (["mural"], [])),
        ("0.04", at("0.05", "mural"), {}, ([], [DEARER])),
        ("0.04", at("0.05", "mural"), {"max_cost_usd": Decimal("0.05")}, (["mural"], [])),
        ("0.04", at(None, "mural"), {}, ([], [DEARER])),
        (None, at("0.01", "mural"), {}, ([], [DEARER])),
        (None, at("0", "mural"), {}, (["mural"], [])),
        ("0", at("0.01", "mural"), {}, ([], [DEARER])),
        ("0.04", at("0.04", "mural", tier="high"), {}, ([], [OTHER_TIER])),
        ("0.04", at("0", "mural", tier="high"), {}, ([], [OTHER_TIER])),
        ("0.04", at("0.04", "mural", tier="high"), {"substitutes": True}, (["mural"], [])),
        ("0.04", at("0.05", "mural", tier="high"), {"substitutes": True}, ([], [DEARER])),
        ("0.04", at("0.04", "mural", tier="high", id="easel-model"), {}, (["mural"], [])),
        ("0.04", at("0.04", "mural"), {"fallback": False}, ([], [])),
    ],
)
def test_a_fallback_is_never_dearer_and_of_no_other_tier_without_the_callers_word(
    first, second, policy, expected
):
    assert followers(at(first), second, **policy) == expected


def test_the_less_loaded_of_equal_accounts_is_asked_first():
    accounts = [account("easel", "one", load=2), account("easel", "two", load=1), account("easel", "three")]
    assert [name for name, _ in routed({}, [NEW], *accounts)] == ["three", "two", "one"]


def test_a_route_is_as_long_as_there_are_accounts_however_many_models_they_have():
    models = [model(f"p{n % 5}", id=f"m{n}", ref=f"m{n}") for n in range(300)]
    route = plan(request(), models, [account(f"p{n}") for n in range(5)], today=TODAY)
    assert sorted(one.account for one in route.targets) == [f"p{n}" for n in range(5)]
    assert len(route.alternatives) == 3


def test_reasons_are_bounded_however_many_models_do_not_fit():
    models = [model("easel", id=f"m{n}", ref=f"m{n}", max_count=1) for n in range(300)]
    route = plan(request(count=2), [*models, model("easel", id="fits")], [account("easel")], today=TODAY)
    assert (len(route.passed_over), len(route.targets)) == (40, 1)


def test_the_price_is_to_blame_only_when_nothing_else_stands_in_the_way():
    tight = request(policy=Policy(max_cost_usd=Decimal("0.01")))
    cheap, dear = at("0.01"), at("0.04", "mural")
    with pytest.raises(OverBudget):
        plan(tight, [dear], [account("mural")], today=TODAY)
    with pytest.raises(NoRoute, match=UNSET) as caught:
        plan(request(model="mural-model", policy=tight.policy), [cheap, dear], [unset("mural")], today=TODAY)
    assert not caught.value.passing
    resting = account("easel", obstacle="rests for 3 s")
    with pytest.raises(NoRoute) as caught:
        plan(tight, [cheap, dear], [resting, account("mural")], today=TODAY)
    assert caught.value.passing  # the one that is cheap enough may come back
    with pytest.raises(NoRoute) as caught:
        plan(tight, [dear], [account("mural", obstacle="rests for 3 s")], today=TODAY)
    assert not caught.value.passing  # and to wait for one that is too dear is of no use


def test_a_size_that_is_drawn_goes_before_one_that_is_bent():
    bends = at("0.01", sizes=Sizes(default=(64, 64), max_side=64, nearest=True))
    draws = at("0.04", "mural")
    route = plan(request(width=128, height=128), [bends, draws], [account("easel"), account("mural")])
    assert [one.provider for one in (*route.targets, *route.alternatives)][:2] == ["mural", "easel"]


def test_a_price_for_the_order_as_it_is_sent_decides():
    by_option = Price(
        usd=Decimal("0.2"),
        unit="image",
        rows=[{"usd": "0.02", "options": {"quality": "low"}}],
        source="a test",
        read_on=TODAY,
    )
    bought = model("easel", None, price=by_option, options={"quality": {"enum": ["low", "high"]}})
    (target,) = plan(request(options={"quality": "low"}), [bought], [account("easel")]).targets
    assert (target.price_usd, target.request.options) == (Decimal("0.02"), {"quality": "low"})
