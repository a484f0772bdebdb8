import pytest

from limner.core.errors import NoRoute
from limner.core.request import Policy
from limner.router.account import Account
from limner.router.plan import plan
from limner.router.policy import tier_of
from tests.fakes import model, request


def order(prefer, models, accounts=None):
    accounts = accounts or [Account(one.provider, one.provider) for one in models]
    route = plan(request(policy=Policy(prefer=prefer)), models, accounts)
    return [target.account for target in (route.targets[0], *route.alternatives)]


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("a photorealistic sunset", "ultra"),
        ("A Professional portrait, quick", "ultra"),
        ("a detailed fox", "high"),
        ("an artistic sketch", "high"),
        ("an illustration of a fox", "standard"),
        ("a quick fox", "fast"),
        ("a fox", "standard"),
    ],
)
def test_the_best_tier_one_of_whose_words_occurs_in_the_prompt_wins(prompt, tier):
    assert tier_of(prompt) == tier


def test_the_policy_tier_asks_the_prompts_tier_by_fallback_priority():
    models = [
        model("easel", "0.01", fallback_priority=2),
        model("mural", "0.05", fallback_priority=1),
        model("fresco", "0.01", tier="high"),
    ]
    assert order("tier", models) == ["mural", "easel"]


def test_a_tier_that_is_named_is_the_only_one_that_serves():
    models = [model("easel", "0.01"), model("fresco", "0.05", tier="ultra")]
    accounts = [Account("easel", "easel"), Account("fresco", "fresco")]
    (target,) = plan(request(tier="ultra"), models, accounts).targets
    assert target.provider == "fresco"
    (named,) = plan(request(tier="ultra", model="easel-model"), models, accounts).targets
    assert named.provider == "easel", "a model that is named is of the tier it is"


def test_a_tier_nobody_serves_is_told_with_those_there_are():
    models = [model("easel"), model("mural", tier="fast")]
    with pytest.raises(NoRoute) as error:
        plan(request(tier="ultra"), models, [Account("easel", "easel"), Account("mural", "mural")])
    assert str(error.value) == (
        "no models available for quality tier: ultra; available tiers: standard, fast"
    )


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("unified", ["leonardo", "runware", "gemini", "easel"]),
        ("commands", ["easel", "gemini", "leonardo", "runware"]),
        ("two-phase", ["gemini", "easel", "leonardo", "runware"]),
    ],
)
def test_the_orders_of_the_programs_before_come_first_and_everybody_else_after(prefer, expected):
    assert order(prefer, [model(name) for name in ("easel", "gemini", "leonardo", "runware")]) == expected


def test_unified_takes_the_model_that_a_provider_lists_first_whatever_another_costs():
    models = [
        model("runware", "0.09", id="usual", fallback_priority=9),
        model("runware", "0.01", id="other", fallback_priority=1),
    ]
    route = plan(request(policy=Policy(prefer="unified")), models, [Account("runware", "runware")])
    assert route.targets[0].model == "usual"


def test_balanced_asks_whoever_will_be_done_first():
    models = [model("easel", "0.01"), model("mural", "0.09"), model("fresco", "0.05")]
    accounts = [
        Account("easel", "easel", load=3, latency_s=2.0),
        Account("mural", "mural", load=0, latency_s=7.0),
        Account("fresco", "fresco", load=0, latency_s=9.0),
    ]
    assert order("balanced", models, accounts) == ["mural", "easel", "fresco"]


@pytest.mark.parametrize("prefer", ["local-first", "cheapest", "balanced", "fastest"])
def test_of_two_accounts_at_one_provider_the_less_burdened_is_asked(prefer):
    accounts = [Account("easel", "one", load=2, latency_s=4.0), Account("easel", "two", latency_s=4.0)]
    assert order(prefer, [model("easel")], accounts) == ["two", "one"]
    slow = [Account("easel", "one", load=1, latency_s=1.0), Account("easel", "two", latency_s=9.0)]
    assert order("balanced", [model("easel")], slow) == ["one", "two"]


def test_fastest_goes_by_what_was_seen_and_else_by_the_catalog():
    models = [model("easel", seconds=2.0), model("mural", seconds=3.0)]
    accounts = [Account("easel", "easel", latency_s=8.0), Account("mural", "mural")]
    assert order("fastest", models, accounts) == ["mural", "easel"]
