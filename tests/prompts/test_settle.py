"""How a prompt is rewritten on its way into a job: nothing that was not asked for, and all of it told."""

import asyncio

import pytest

from limner.core.errors import InvalidRequest, NotFound
from limner.core.prompting import Prompting, Rewrite, Rewritten
from limner.core.quote import Note, rewritten
from limner.core.request import GenerateRequest, Policy
from limner.core.shelf import Experiment, Template
from limner.prompts.rewriter import Rewriter
from limner.prompts.settle import Settling, drawn
from tests.prompts.scripted import DOWN, LONG, Scripted
from tests.prompts.test_optimise import GOOD

MOODY = Template(name="moody", version=2, text="{prompt} in {mood} light", negative_prompt="glare")
TEST = Experiment(name="duel", arms=("moody@2", "moody@1"))


class Library:
    async def template(self, name, version=None):
        if name != "moody":
            raise NotFound(f"there is no template {name}")
        return MOODY if version in (None, 2) else MOODY.model_copy(update={"version": 1})

    async def experiment(self, name):
        if name != "duel":
            raise NotFound(f"there is no test {name}")
        return TEST


def house(*answers, on=True):
    counted = []

    async def count(one):
        counted.append(one)

    model = Scripted(*answers)
    return Settling(Rewriter(model, count, on=on), Library()), model, counted


def wanting(prompt="a red fox", strict=False, negative_prompt=None, **wishes):
    return GenerateRequest(
        prompt=prompt,
        negative_prompt=negative_prompt,
        policy=Policy(strict=strict),
        prompting=Prompting(**wishes),
    )


async def sent(asked, *answers, on=True):
    """What is sent for what was asked: both prompts, and the steps as (step, by, what was said)."""
    settled = await house(*answers, on=on)[0].settle(asked, "job-1")
    done = None if settled.prompting is None else settled.prompting.done
    steps = [] if done is None else [(one.step, one.by, one.said) for one in done.steps]
    return settled.prompt, settled.negative_prompt, steps


async def test_without_a_wish_nothing_is_rewritten():
    plain = GenerateRequest(prompt=LONG)
    assert await house()[0].settle(plain, "job-1") is plain
    assert await sent(wanting(LONG)) == (LONG, None, [])
    assert await sent(wanting("a fox", optimize=False, enhance=False)) == ("a fox", None, [])


async def test_a_long_prompt_is_shortened_and_the_original_kept():
    settling, _, counted = house(GOOD)
    settled = await settling.settle(wanting(LONG, optimize=True), "job-1")
    said = f"shortened by scripted, from {len(LONG):,} to {len(GOOD):,} characters"
    step = Rewrite(step="optimize", by="scripted", before=len(LONG), after=len(GOOD), said=said)
    assert settled.prompting == Prompting(done=Rewritten(prompt=LONG, steps=(step,)))
    assert (settled.prompt, settled.asked_prompt) == (GOOD, LONG)
    assert rewritten(settled) == (Note(field="prompt", message=said),)
    (one,) = counted
    assert (one.step, one.model, one.outcome, one.count, one.retries) == (
        "optimize",
        "scripted",
        "done",
        1,
        0,
    )
    assert (one.characters_before, one.characters_after) == (len(LONG), len(GOOD))


async def test_3000_characters_need_no_shortening():
    assert await sent(wanting("x" * 3000, optimize=True)) == ("x" * 3000, None, [])


@pytest.mark.parametrize(
    ("answer", "outcome", "why"),
    [
        (DOWN, "away", "http://127.0.0.1:9/ cannot be reached"),
        ("", "failed", "the answer will not do: it is empty"),
    ],
)
async def test_the_original_is_sent_when_the_model_is_away_or_fails_twice(answer, outcome, why):
    settling, _, counted = house(answer)
    settled = await settling.settle(wanting(LONG, optimize=True), "job-1")
    assert settled.prompt == LONG
    assert [one.said for one in settled.prompting.done.steps] == [f"not shortened, and sent as it was: {why}"]
    assert [one.outcome for one in counted] == [outcome]


async def test_words_are_added_behind_the_prompt():
    assert await sent(wanting(enhance=True)) == (
        "a red fox, highly detailed, sharp focus",
        None,
        [("enhance", "limner", "'highly detailed, sharp focus' was added")],
    )


async def test_a_style_adds_to_both_prompts():
    positive = "line art, clean black outlines on white, no shading"
    negative = "colour, photograph, gradients"
    assert await sent(wanting(style_preset="Line Art", negative_prompt="rain")) == (
        f"a red fox, {positive}",
        f"rain, {negative}",
        [
            ("style", "limner", f"{positive!r} was added for the style line-art"),
            ("negative", "limner", f"{negative!r} joined the negative prompt for the style line-art"),
        ],
    )


async def test_the_usual_negative_prompt_is_used_where_there_is_none():
    usual = "blurry, low quality, distorted"
    assert await sent(wanting(negative_default=True)) == (
        "a red fox",
        usual,
        [("negative", "limner", f"the usual negative prompt is used: {usual}")],
    )
    assert await sent(wanting(negative_default=True, negative_prompt="")) == ("a red fox", "", [])


async def test_a_strict_request_gets_no_negative_prompt_that_a_model_may_not_take():
    prompt, negative, _ = await sent(wanting(strict=True, negative_default=True, style_preset="oil"))
    assert (prompt.startswith("a red fox, oil painting"), negative) == (True, None)


async def test_what_is_added_finds_room_in_the_3000_characters():
    settling, model, _ = house(GOOD)
    await settling.settle(wanting(LONG, optimize=True, style_preset="oil"), "job-1")
    added = len(", oil painting, visible brush strokes, rich impasto, canvas texture")
    assert f"fewer than {3000 - added} characters" in model.asked[0][0][0].content


async def test_nothing_is_added_beyond_10000_characters():
    prompt, _, steps = await sent(wanting("x" * 9_990, style_preset="oil"))
    assert prompt == "x" * 9_990
    assert steps[0] == ("style", "limner", "no words were added: the prompt would be too long")


async def test_a_template_takes_the_prompt_and_its_variables():
    assert await sent(wanting(template="moody", variables={"mood": "soft"})) == (
        "a red fox in soft light",
        "glare",
        [
            ("template", "limner", "put into the template moody@2"),
            ("negative", "limner", "the negative prompt of moody@2 is used"),
        ],
    )


async def test_a_test_draws_a_template_by_the_job_and_notes_which():
    settling, *_ = house()
    arms = set()
    for n in range(20):
        asked = wanting(experiment="duel", variables={"mood": "soft"})
        done = (await settling.settle(asked, f"job-{n}")).prompting.done
        assert (done.template, done.experiment) == (drawn(TEST, f"job-{n}"), "duel")
        arms.add(done.template)
    assert arms == set(TEST.arms)


def test_an_arm_is_drawn_alike_for_the_same_job_and_about_as_often_as_the_others():
    first = sum(drawn(TEST, f"job-{n}") == "moody@2" for n in range(1000))
    assert 430 < first < 570
    assert drawn(TEST.model_copy(update={"ended_at": 1.0}), "job-1") == "moody@2"


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"template": "gone"}, "prompting.template"),
        ({"template": "moody"}, "prompting.variables"),
        ({"template": "moody", "variables": {"mood": "x", "more": "y"}}, "prompting.variables"),
        ({"variables": {"mood": "x"}}, "prompting.variables"),
        ({"experiment": "gone"}, "prompting.experiment"),
        ({"experiment": "duel", "template": "moody"}, "prompting.experiment"),
        ({"style_preset": "nothing like it"}, "prompting.style_preset"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_refused(wishes, field):
    with pytest.raises(InvalidRequest) as caught:
        await sent(wanting(**wishes))
    assert caught.value.field == field


async def test_a_short_prompt_is_enhanced_by_the_model_where_that_is_wished():
    assert await sent(wanting(enhance=True, by_model=True), "a red fox, rim light") == (
        "a red fox, rim light",
        None,
        [("enhance", "scripted", "enhanced by scripted, from 9 to 20 characters")],
    )


async def test_a_model_that_is_away_leaves_the_words():
    prompt, _, steps = await sent(wanting(enhance=True, by_model=True), DOWN)
    assert prompt == "a red fox, highly detailed, sharp focus"
    assert [(step, by) for step, by, _ in steps] == [("enhance", "scripted"), ("enhance", "limner")]


async def test_a_conversation_is_summed_up_and_not_kept():
    settling, *_ = house("a blue fox in snow")
    settled = await settling.settle(wanting("make it blue", context=("a fox in snow",)), "job-1")
    assert settled.prompt == "a blue fox in snow"
    assert "a fox in snow" not in settled.model_dump_json().replace("a blue fox in snow", "")


async def test_with_the_switch_off_nothing_is_ever_rewritten_and_that_is_told():
    off = "rewriting is switched off here (prompt_rewriting); the prompt is sent as it came"
    asked = wanting(LONG, optimize=True, enhance=True, style_preset="oil", negative_default=True)
    assert await sent(asked, GOOD, on=False) == (LONG, None, [("optimize", "limner", off)])
    assert await sent(wanting(LONG), on=False) == (LONG, None, [])


async def test_an_estimate_asks_no_model_and_says_what_will_be_asked():
    settling, model, counted = house(GOOD)
    asked = wanting(LONG, optimize=True, enhance=True, template="moody", variables={"mood": "soft"})
    expected = await settling.expect(asked)
    assert (model.asked, counted) == ([], [])
    assert len(expected.prompt) < 3000
    assert [one.step for one in expected.prompting.done.steps] == ["template", "negative", "optimize"]
    said = expected.prompting.done.steps[2].said
    assert said.startswith("scripted shortens it to below 3,000 characters when it is ordered")


async def test_what_was_rewritten_once_is_sent_as_it_is():
    settling, model, _ = house(GOOD)
    once = await settling.settle(wanting(LONG, optimize=True), "job-1")
    assert await settling.settle(once, "job-2") is once
    assert len(model.asked) == 1


async def test_a_picture_without_words_has_nothing_to_rewrite():
    wordless = GenerateRequest(
        operation="upscale",
        prompt="",
        inputs=("a" * 64,),
        prompting=Prompting(enhance=True, style_preset="oil"),
    )
    assert await house()[0].settle(wordless, "job-1") is wordless


async def test_orders_with_the_same_key_wait_for_each_other_and_others_do_not():
    settling, *_ = house()
    heard = []

    async def order(name, by, key):
        async with settling.alone(by, key):
            heard.append(f"{name} in")
            await asyncio.sleep(0)
            heard.append(f"{name} out")

    await asyncio.gather(order("a", "me", "k"), order("b", "me", "k"))
    assert heard == ["a in", "a out", "b in", "b out"]
    heard.clear()
    await asyncio.gather(order("a", "me", "k"), order("b", "you", "k"), order("c", "me", None))
    assert heard[:3] == ["a in", "b in", "c in"]
