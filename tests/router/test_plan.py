from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.catalog.model import Sizes
from limner.core.errors import InvalidRequest, NoRoute, OverBudget
from limner.core.quote import Agreed, PassedOver, Route
from limner.core.request import GenerateRequest, Policy
from limner.router.account import Account
from limner.router.plan import plan
from tests.fakes import model, request

LOCAL = model("local", "0", tier="fast", seconds_per_megapixel=60.0)
EASEL = model("easel", "0.04", tier="ultra", seconds_per_megapixel=10.0, aliases=("nice",))
MURAL = model("mural", "0.01", tier="high", seconds_per_megapixel=30.0)
FRESCO = model("fresco", None, tier="standard")
ALL = [EASEL, FRESCO, LOCAL, MURAL]


def accounts(*names, **obstacles):
    return [
        Account(name, name, obstacle=obstacles.get(name), local=name == "local")
        for name in names or ("easel", "fresco", "local", "mural")
    ]


def order(prefer):
    route = plan(request(policy=Policy(prefer=prefer)), ALL, accounts())
    return [target.provider for target in (route.targets[0], *route.alternatives)]


def test_each_policy_has_its_order():
    assert order("local-first") == ["local", "mural", "easel", "fresco"]
    assert order("cheapest") == ["local", "mural", "easel", "fresco"]
    assert order("fastest") == ["easel", "mural", "local", "fresco"]
    assert order("listed") == ["easel", "fresco", "local", "mural"]


def test_equal_prices_go_by_tier():
    low, high = model("low", "0.01", tier="fast"), model("high", "0.01", tier="ultra")
    route = plan(request(policy=Policy(prefer="cheapest")), [low, high], accounts("low", "high"))
    assert [target.provider for target in (route.targets[0], *route.alternatives)] == ["high", "low"]


def test_without_fallback_the_route_has_one_target():
    assert len(plan(request(policy=Policy(fallback=False)), ALL, accounts()).targets) == 1


def test_a_target_is_the_request_as_it_will_be_sent_with_its_price():
    (target,) = plan(request(count=2), [EASEL], accounts("easel")).targets
    assert target.request == request(count=2, width=64, height=64, steps=12, guidance_scale=4.0)
    assert (target.price_usd, target.account, target.ref) == (Decimal("0.08"), "easel", "easel/one")


def test_who_is_passed_over_is_told_with_the_reason():
    route = plan(
        request(count=4, policy=Policy(max_cost_usd=Decimal("0.05"))),
        [*ALL, model("etching", max_count=1)],
        accounts("easel", "fresco", "local", "mural", "etching", local="the engine cannot start"),
    )
    assert [target.provider for target in route.targets] == ["mural"]
    assert route.passed_over == (
        PassedOver(target="easel/easel-model", reason="costs $0.16, above $0.05"),
        PassedOver(target="fresco/fresco-model", reason="its price is unknown and a ceiling was set"),
        PassedOver(target="local/local-model", reason="the engine cannot start"),
        PassedOver(target="etching/etching-model", reason="draws at most 1 pictures an order"),
    )


def test_a_retired_model_serves_only_who_asks_for_it():
    old = model("easel", id="old", retired=date(2026, 1, 1))
    models = [old, MURAL]
    assert [one.model for one in plan(request(), models, accounts()).targets] == ["mural-model"]
    assert [one.model for one in plan(request(model="old"), models, accounts()).targets] == ["old"]


@pytest.mark.parametrize("name", ["easel-model", "easel/one", "easel/easel-model", "nice"])
def test_a_model_answers_to_each_of_its_names(name):
    assert [one.provider for one in plan(request(model=name), ALL, accounts()).targets] == ["easel"]


def test_who_has_a_name_goes_before_who_stands_in_for_it():
    stand_in = model("local", "0", stands_in_for=("easel-model",))
    route = plan(request(model="easel-model"), [stand_in, EASEL], accounts())
    assert [one.provider for one in route.targets] == ["easel"]
    alone = plan(request(model="easel-model"), [stand_in], accounts())
    assert [one.provider for one in alone.targets] == ["local"]


def test_a_provider_may_be_named():
    assert [one.provider for one in plan(request(provider="mural"), ALL, accounts()).targets] == ["mural"]


@pytest.mark.parametrize(
    ("wanted", "field", "said"),
    [
        ({"provider": "esel"}, "provider", "unknown provider 'esel'; did you mean 'easel'?"),
        ({"provider": "zz"}, "provider", "unknown provider 'zz'; known: easel, fresco, local, mural"),
        ({"model": "easel-modl"}, "model", "unknown model 'easel-modl'; did you mean 'easel-model'?"),
        ({"model": "nice", "provider": "mural"}, "model", "unknown model 'nice'; known: mural-model"),
    ],
)
def test_a_name_that_is_not_known_is_refused_with_the_nearest(wanted, field, said):
    with pytest.raises(InvalidRequest) as caught:
        plan(request(**wanted), ALL, accounts())
    assert (str(caught.value), caught.value.field) == (said, field)


def test_with_nothing_set_up_there_is_no_route():
    with pytest.raises(NoRoute, match="no provider is set up"):
        plan(request(), ALL, [])


def test_a_request_nobody_can_draw_is_the_callers_to_change():
    with pytest.raises(InvalidRequest) as caught:
        plan(request(count=9), [EASEL, MURAL], accounts())
    assert (caught.value.field, str(caught.value)) == (
        "count",
        "; ".join(f"{one}/{one}-model: draws at most 4 pictures an order" for one in ("easel", "mural")),
    )


def test_when_only_the_price_stands_in_the_way_it_is_said_so():
    with pytest.raises(OverBudget, match=r"easel/easel-model: costs \$0\.04, above \$0\.01"):
        plan(request(policy=Policy(max_cost_usd=Decimal("0.01"))), [EASEL], accounts())


def test_when_nobody_is_there_each_says_why():
    with pytest.raises(NoRoute) as caught:
        plan(request(), [EASEL, MURAL], accounts(easel="breaker open", mural="rests for 3 s"))
    assert caught.value.reasons == {"easel/easel-model": "breaker open", "mural/mural-model": "rests for 3 s"}


MODELS = st.lists(
    st.builds(
        model,
        provider=st.sampled_from(["a", "b", "local"]),
        usd=st.sampled_from([None, "0", "0.01", "0.5"]),
        id=st.sampled_from(["x", "y"]),
        tier=st.sampled_from(["fast", "standard", "high", "ultra"]),
        max_count=st.integers(1, 4),
        takes_seed=st.booleans(),
        sizes=st.just(Sizes(default=(64, 64), max_side=256)),
    ),
    max_size=4,
)
ACCOUNTS = st.lists(
    st.builds(
        Account,
        provider=st.sampled_from(["a", "b", "local"]),
        name=st.sampled_from(["one", "two"]),
        obstacle=st.sampled_from([None, None, "rests"]),
        local=st.booleans(),
    ),
    max_size=4,
)
REQUESTS = st.builds(
    GenerateRequest,
    prompt=st.just("a fox"),
    count=st.integers(1, 5),
    model=st.sampled_from([None, "x", "zz"]),
    provider=st.sampled_from([None, "a"]),
    policy=st.builds(
        Policy,
        prefer=st.sampled_from(["local-first", "cheapest", "fastest", "listed"]),
        fallback=st.booleans(),
        strict=st.booleans(),
        max_cost_usd=st.sampled_from([None, Decimal(0), Decimal("0.02")]),
    ),
)


def planned(*given):
    """The route, or the error's class and words."""
    try:
        return plan(*given)
    except (InvalidRequest, NoRoute, OverBudget) as error:
        return type(error), str(error)


@given(REQUESTS, MODELS, ACCOUNTS)
def test_a_plan_is_total_deterministic_and_never_above_the_ceiling(wanted, models, here):
    route = planned(wanted, models, here)
    assert planned(wanted, models, here) == route
    if not isinstance(route, Route):
        return
    ceiling = wanted.policy.max_cost_usd
    for target in route.targets:
        assert ceiling is None or (target.price_usd is not None and target.price_usd <= ceiling)
        assert not (wanted.policy.strict and target.notes)
        account = [one for one in here if (one.provider, one.name) == (target.provider, target.account)]
        assert any(one.obstacle is None for one in account)


def agreed(provider, account=None, **changes):
    return Agreed(
        **{
            "provider": provider,
            "account": account or provider,
            "model": f"{provider}-model",
            "ref": f"{provider}/one",
            "price_usd": Decimal("0.04"),
            "notes": "",
        }
        | changes
    )


def first_of(promised, ceiling_usd=None, these=ALL, at=None, **policy):
    route = plan(
        request(policy=Policy(**policy)), these, at or accounts(), agreed=promised, ceiling_usd=ceiling_usd
    )
    return (route.targets[0].provider, route.targets[0].account)


def test_what_was_quoted_comes_first_where_it_can_be_used():
    assert first_of(agreed("easel")) == ("easel", "easel")
    assert first_of(agreed("easel", model="gone")) == ("local", "local")
    assert first_of(agreed("easel", ref="easel/two")) == ("local", "local")
    assert first_of(agreed("easel"), at=accounts(easel="rests")) == ("local", "local")


def test_the_quoted_model_at_another_account_comes_before_other_models():
    at = [Account("easel", "easel-2"), *accounts("local")]
    assert first_of(agreed("easel", account="easel-1"), at=at) == ("easel", "easel-2")
    at = [Account("easel", "easel-1"), Account("easel", "easel-2")]
    assert first_of(agreed("easel", account="easel-2"), at=at) == ("easel", "easel-2")


def test_nothing_above_the_ceiling_is_asked_and_the_lower_limit_counts():
    assert first_of(agreed("easel"), Decimal("0.02")) == ("local", "local")
    with pytest.raises(OverBudget, match=r"easel/easel-model: costs \$0.04, above \$0.03"):
        first_of(None, Decimal("0.03"), [EASEL])
    with pytest.raises(OverBudget, match=r"above \$0.02"):
        first_of(None, Decimal("0.03"), [EASEL], max_cost_usd=Decimal("0.02"))
    with pytest.raises(OverBudget, match="its price is unknown"):
        first_of(None, Decimal("0.03"), [FRESCO])


def test_a_fallback_may_cost_what_the_quote_allows():
    cheaper = model("easel", "0.01")
    dearer = model("mural", "0.03")
    route = plan(
        request(),
        [cheaper, dearer],
        accounts("easel", "mural"),
        agreed=agreed("easel"),
        ceiling_usd=Decimal("0.04"),
    )
    assert [target.provider for target in route.targets] == ["easel", "mural"]


def test_each_target_carries_how_its_price_came_about():
    (target,) = plan(request(count=2), [EASEL], accounts("easel")).targets
    assert (target.priced.total_usd, target.priced.source) == (target.price_usd, "a test")
