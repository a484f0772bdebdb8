from random import Random

import pytest
from pydantic import ValidationError

from limner.core.errors import InvalidRequest
from limner.simulator.faults import Chance, Fault, Match, Schedule, Script, Sight, as_kind, marked, unmarked


def order(text="a fox", vendor="easel", path="/easel/v1/paint/m1"):
    return Sight(vendor, path, text, order=True)


def test_the_first_fault_that_fits_is_played_and_counted():
    script = Script()
    script.add(Fault(kind="hang", vendor="other"))
    script.add(Fault(kind="slow", times=2))
    script.add(Fault(kind="empty"))
    played = [script.take(order()) for _ in range(4)]
    assert [fault and fault.kind for fault in played] == ["slow", "slow", "empty", None]
    assert script.left() == (Fault(kind="hang", vendor="other"),)


def test_a_fault_with_no_end_is_played_for_ever():
    script = Script()
    script.add(Fault(kind="slow", times=0))
    assert {script.take(order()).kind for _ in range(50)} == {"slow"}
    script.clear()
    assert script.take(order()) is None


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(prompt="fox"), True),
        (Match(prompt="cat"), False),
        (Match(path="/paint/"), True),
        (Match(path="/jobs/"), False),
        (Match(model="m1"), True),
        (Match(model="m2"), False),
        (Match(path="/paint/", prompt="fox", model="m1"), True),
        (Match(path="/paint/", prompt="cat", model="m1"), False),
    ],
)
def test_a_fault_fits_when_all_its_texts_occur(match, fits):
    script = Script()
    script.add(Fault(kind="slow", match=match))
    assert (script.take(order()) is not None) is fits


def test_what_is_no_order_is_met_only_by_a_fault_that_names_its_path():
    script = Script()
    script.add(Fault(kind="slow"))
    script.add(Fault(kind="lost", match=Match(path="/jobs/")))
    poll = Sight("easel", "/easel/v1/jobs/1", "[[emu:hang]]", order=False)
    assert script.take(poll).kind == "lost"
    assert (script.take(poll), marked(poll)) == (None, None)


@pytest.mark.parametrize(
    ("text", "kind", "after_s"),
    [
        ("a fox [[emu:hang]]", "hang", 0.5),
        ("[[emu:easel:lost]] a fox", "lost", 0.5),
        ("[[emu:other:lost]][[emu:empty]]", "empty", 0.5),
        ("[[emu:slow=2.5]]", "slow", 2.5),
        ("[[emu:slow=999999]]", "slow", 3600.0),
    ],
)
def test_a_marker_in_the_prompt_asks_for_a_fault(text, kind, after_s):
    assert marked(order(text)) == Fault(kind=kind, after_s=after_s, times=0)


@pytest.mark.parametrize("text", ["a fox", "[[emu:other:hang]]", "[emu:hang]", "[[emu:]]"])
def test_other_text_asks_for_none(text):
    assert marked(order(text)) is None


def test_a_marker_with_an_unknown_kind_is_refused_by_name():
    with pytest.raises(InvalidRequest, match=r"^there is no fault 'explode'; there are: slow, hang, "):
        marked(order("[[emu:explode]]"))


def test_the_prompt_is_drawn_without_its_markers():
    assert unmarked("a [[emu:easel:slow=3]] fox [[emu:hang]]") == "a  fox"


def test_a_schedule_is_read_from_text():
    assert Schedule.parse("openai:error_after=0.05, *:slow=1") == Schedule(
        (Chance("openai", "error_after", 0.05), Chance("*", "slow", 1.0))
    )
    assert Schedule.parse("") == Schedule()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slow", "'slow' is no fault by chance; write VENDOR:KIND=CHANCE"),
        ("a:slow=2", "'a:slow=2' is no fault by chance"),
        ("a:slow=-0.1", "'a:slow=-0.1' is no fault by chance"),
        ("a:slow=nan", "'a:slow=nan' is no fault by chance"),
        ("a:slow=1.5", "'a:slow=1.5' is no fault by chance"),
        ("a:explode=0.5", "there is no fault 'explode'"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_by_name(text, said):
    with pytest.raises(InvalidRequest, match=said):
        Schedule.parse(text)


def test_the_same_seed_draws_the_same_faults():
    schedule = Schedule.parse("easel:error_after=0.3,*:slow=0.3")

    def drawn(seed):
        chance = Random(seed)
        return [schedule.draw("easel", chance) for _ in range(200)]

    kinds = [None if fault is None else fault.kind for fault in drawn(7)]
    assert drawn(7) == drawn(7) != drawn(8)
    assert {kind: kinds.count(kind) > 20 for kind in set(kinds)} == {
        None: True,
        "slow": True,
        "error_after": True,
    }


def test_chance_at_another_vendor_is_not_drawn():
    assert Schedule.parse("other:slow=1").draw("easel", Random(1)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"fault": "explode"},
        {"fault": "slow", "times": -1},
        {"fault": "slow", "after_s": float("nan")},
        {"fault": "slow", "after": 1},
        {"fault": "slow", "match": {"seed": "1"}},
        {},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        Fault.model_validate(fields)


def test_an_unknown_word_is_no_kind():
    assert as_kind("cut_after") == "cut_after"
    with pytest.raises(InvalidRequest, match="there is no fault 'cut'"):
        as_kind("cut")
