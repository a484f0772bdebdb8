"""Prompts on their way through Limner: rewritten once, before the job, and told wherever it is."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from limner.core.errors import Conflict, InvalidRequest
from limner.core.prompting import Prompting
from limner.core.quote import Note
from limner.core.shelf import NewExperiment, NewTemplate
from limner.imaging.metadata import read
from limner.prompts.compress import key_terms
from limner.simulator.app import Simulator
from limner.simulator.ollama import Ollama
from tests.fakes import Desk, limner, request, vendor
from tests.prompts.scripted import LONG

pytestmark = pytest.mark.usefixtures("swift")
OPTIMIZE = Prompting(optimize=True)


@asynccontextmanager
async def house(home, **changes):
    """A Limner whose vendor draws at once, and whose language model is the simulator's."""
    desk = Desk()
    async with Simulator(seed=7, vendors=[Ollama], speed=500) as sim:
        url = {"language_url": sim.base("ollama")}
        async with limner(home, vendor(desk), **{"default_images_per_hour": None} | url | changes) as app:
            yield app, sim, desk
        assert sim.mistakes == []


def asked_of(sim):
    return len(sim.requests("ollama", "/api/chat"))


async def test_a_prompt_of_4500_characters_is_drawn_from_one_under_3000_with_its_key_terms(home):
    assert 4_500 <= len(LONG) <= 5_000
    async with house(home) as (app, sim, desk):
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
    sent = desk.calls[0].request.prompt
    assert (job.state, asked_of(sim)) == ("succeeded", 1)
    assert len(sent) < 3000
    assert [term for term in key_terms(LONG) if term not in sent.lower()] == []


async def test_the_original_and_every_rewrite_are_in_the_job_its_receipt_and_the_file(home):
    async with house(home) as (app, _, desk):
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
        found = read(await app.open(job.images[0]))
    sent = desk.calls[0].request.prompt
    said = f"shortened by gpt-oss:20b, from {len(LONG):,} to {len(sent):,} characters"
    assert job.receipt.notes == (Note(field="prompt", message=said),)
    assert (job.request.prompt, job.request.asked_prompt) == (sent, LONG)
    assert (found.recipe.prompt, found.recipe.request.prompt) == (LONG, sent)
    assert [one.said for one in found.recipe.request.prompting.done.steps] == [said]


async def test_a_picture_made_again_from_its_recipe_is_not_rewritten_again(home):
    async with house(home) as (app, sim, desk):
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
        again = await app.draw(job.images[0].recipe.request)
    assert (asked_of(sim), len(desk.calls)) == (1, 2)
    assert again.images[0].digest == job.images[0].digest


async def test_a_repeated_key_gives_the_first_job_and_asks_no_language_model(home):
    wanted = request(prompt=LONG, prompting=OPTIMIZE)
    async with house(home) as (app, sim, desk):
        first = await app.draw(wanted, key="k")
        second = await app.draw(wanted, key="k")
        third = await app.generate(wanted, key="k")
        with pytest.raises(Conflict):
            await app.generate(request(prompt=LONG), key="k")
    assert {first.id, second.id, third.id} == {first.id}
    assert (asked_of(sim), len(desk.bill)) == (1, 1)


async def test_the_same_key_sent_twice_at_once_asks_the_language_model_once(home):
    wanted = request(prompt=LONG, prompting=OPTIMIZE)
    async with house(home) as (app, sim, desk):
        first, second = await asyncio.gather(*(app.draw(wanted, key="k") for _ in range(2)))
    assert (first.id, asked_of(sim), len(desk.bill)) == (second.id, 1, 1)


async def test_a_repeated_key_gives_the_first_job_though_the_model_is_away_by_now(home):
    wanted = request(prompt=LONG, prompting=OPTIMIZE)
    async with house(home) as (app, sim, _):
        first = await app.draw(wanted, key="k")
        sim.fault("overloaded", times=0)
        assert (await app.draw(wanted, key="k")).id == first.id


async def test_the_original_is_drawn_when_the_language_model_is_away(home):
    async with house(home, language_url="http://127.0.0.1:9") as (app, _, desk):
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
    assert (job.state, desk.calls[0].request.prompt) == ("succeeded", LONG)
    (note,) = job.receipt.notes
    assert note.message.startswith("not shortened, and sent as it was: http://127.0.0.1:9/ cannot be reached")


@pytest.mark.parametrize("fault", ["huge", "not_an_image", "empty_success", "refused"])
async def test_the_original_is_drawn_when_the_language_models_answers_are_no_good(home, fault):
    async with house(home) as (app, sim, desk):
        sim.fault(fault, times=0)
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
    assert (desk.calls[0].request.prompt, asked_of(sim)) == (LONG, 2)
    assert job.receipt.notes[0].message.startswith(
        "not shortened, and sent as it was: the answer will not do"
    )


async def test_an_estimate_asks_no_language_model_and_its_quote_is_kept_to(home):
    wanted = request(prompt=LONG, prompting=OPTIMIZE)
    async with house(home) as (app, sim, _):
        quote = await app.estimate(wanted)
        assert asked_of(sim) == 0
        assert [note.field for note in quote.notes] == ["prompt"]
        assert "when it is ordered" in quote.notes[0].message
        job = await app.draw(wanted.model_copy(update={"quote": quote.token}))
    assert (job.state, job.ceiling_usd) == ("succeeded", quote.price_usd)
    assert [note.field for note in job.receipt.notes] == ["prompt"]


async def test_a_quote_is_for_the_request_as_it_was_asked(home):
    async with house(home) as (app, *_):
        quote = await app.estimate(request(prompting=Prompting(style_preset="oil")))
        other = request(prompting=Prompting(style_preset="ink"), quote=quote.token)
        with pytest.raises(InvalidRequest, match="another request"):
            await app.generate(other)


async def test_with_the_switch_off_a_prompt_is_sent_as_it_came(home):
    async with house(home, prompt_rewriting="off") as (app, sim, desk):
        job = await app.draw(request(prompt=LONG, prompting=OPTIMIZE))
        check = await app.check_prompt(LONG)
    assert (desk.calls[0].request.prompt, asked_of(sim)) == (LONG, 0)
    assert "switched off" in job.receipt.notes[0].message
    assert (check.result, check.down) == ("optimization_failed", True)


async def test_a_check_orders_nothing_and_is_counted(home):
    async with house(home) as (app, sim, desk):
        check = await app.check_prompt(LONG)
        short = await app.check_prompt("a fox")
        forced = await app.check_prompt("a very red fox, really", force=True)
        (count,) = await app.prompt_metrics()
    assert (check.result, check.optimized_length < 3000) == ("optimized", True)
    assert (short.result, forced.result, forced.optimized_prompt) == ("valid", "optimized", "a red fox")
    assert (count.count, count.outcome, count.retries) == (2, "done", 0)
    assert (asked_of(sim), desk.calls) == (2, [])


async def test_templates_tests_and_preferences_join_up(home):
    async with house(home) as (app, _, desk):
        for word in ("plain", "grand"):
            await app.shelf.add_template(NewTemplate(name=word, text=f"{{prompt}}, {word}"), "local")
        test = await app.shelf.begin(NewExperiment(name="duel", arms=("plain", "grand")), "local")
        assert test.arms == ("plain@1", "grand@1")
        wanted = request(prompting=Prompting(experiment="duel", style_preset="ink"))
        jobs = [await app.draw(wanted.model_copy(update={"seed": seed})) for seed in range(4)]
        for job in jobs:
            await app.judge(job.images[0].id, "kept")
        result = await app.shelf.test("duel")
        mine = await app.shelf.preferences("local")
        assert sum(arm.jobs for arm in result.results) == 4
        assert sum(arm.kept for arm in result.results) == 4
        assert (mine.judged, mine.suggestions.style_preset, mine.suggestions.provider) == (4, "ink", "easel")
        assert await app.shelf.forget("local") == 4
        assert (await app.shelf.preferences("local")).judged == 0
    drawn = {job.request.prompting.done.template for job in jobs}
    assert drawn <= {"plain@1", "grand@1"}
    assert {call.request.prompt.split(", ")[1] for call in desk.calls} <= {"plain", "grand"}


async def test_a_template_is_used_as_it_was_when_it_was_named_with_its_version(home):
    async with house(home) as (app, _, desk):
        await app.shelf.add_template(NewTemplate(name="t", text="{prompt} one"), "local")
        await app.shelf.add_template(NewTemplate(name="t", text="{prompt} two"), "local")
        await app.draw(request(prompting=Prompting(template="t@1")))
        await app.draw(request(prompting=Prompting(template="t")))
    assert [call.request.prompt for call in desk.calls] == ["a red fox one", "a red fox two"]
