from limner.guard.budgets import Budget
from limner.guard.limits import Limit
from limner.guard.rules import Rules
from limner.guard.scope import Scope

LOCAL = frozenset({"local"})
NOW = 1_795_176_000.0


def told(windows):
    return [(one.name, str(one.scope), one.period) for one in windows]


def test_without_rules_nothing_is_bounded():
    rules = Rules()
    assert (rules.idle, rules.windows("ann", "zoo", "easel", NOW), rules.slides("ann", "zoo")) == (
        True,
        (),
        (),
    )


def test_every_identified_user_has_the_usual_bounds_of_their_own():
    rules = Rules(usual_day_micros=10_000_000, usual_hour=10, usual_day=50, exempt=LOCAL)
    assert told(rules.windows("ann", "zoo", "easel", NOW)) == [("usual", "user ann", "day")]
    assert told(rules.slides("ann", "zoo")) == [
        ("usual", "user ann", "hour"),
        ("usual", "user ann", "day"),
    ]
    assert rules.idle is False


def test_the_local_user_has_none_of_the_usual_bounds():
    rules = Rules(usual_day_micros=10_000_000, usual_hour=10, usual_day=50, exempt=LOCAL)
    assert rules.windows("local", "zoo", "easel", NOW) == ()
    assert rules.slides("local", "zoo") == ()


def test_a_table_that_names_the_user_replaces_the_usual_bounds():
    rules = Rules(
        (Budget("ann", Scope(user="ann"), month_micros=1),),
        (Limit("ann", Scope(user="ann"), hour=100),),
        usual_day_micros=10_000_000,
        usual_hour=10,
        usual_day=50,
    )
    assert told(rules.windows("ann", "zoo", "easel", NOW)) == [("ann", "user ann", "month")]
    assert told(rules.windows("bob", "zoo", "easel", NOW)) == [("usual", "user bob", "day")]
    assert told(rules.slides("ann", "zoo")) == [("ann", "user ann", "hour")]


def test_tables_about_others_come_on_top_of_the_usual_bounds():
    rules = Rules(
        (
            Budget("all", Scope(), day_micros=1),
            Budget("zoo", Scope(project="zoo"), day_micros=1),
            Budget("farm", Scope(project="farm"), day_micros=1),
            Budget("easel", Scope(account="easel"), day_micros=1),
            Budget("both", Scope("ann", "zoo"), day_micros=1),
        ),
        (Limit("all", Scope(), hour=1), Limit("farm", Scope(project="farm"), hour=1)),
        usual_day_micros=1,
        usual_hour=1,
    )
    names = [one.name for one in rules.windows("ann", "zoo", "easel", NOW)]
    assert names == ["all", "zoo", "easel", "both", "usual"]
    assert [one.name for one in rules.slides("ann", "zoo")] == ["all", "usual"]


def test_standings_list_every_table_and_the_usual_bounds_of_those_who_order():
    rules = Rules(
        (Budget("farm", Scope(project="farm"), 1, 2),),
        (Limit("farm", Scope(project="farm"), 1),),
        usual_day_micros=1,
        usual_hour=1,
        exempt=LOCAL,
    )
    assert told(rules.all_windows(["ann", "local"], NOW)) == [
        ("farm", "project farm", "day"),
        ("farm", "project farm", "month"),
        ("usual", "user ann", "day"),
    ]
    assert told(rules.all_slides(["ann", "local"])) == [
        ("farm", "project farm", "hour"),
        ("usual", "user ann", "hour"),
    ]
