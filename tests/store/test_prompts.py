"""The prompt tables, on both databases."""

import asyncio

import pytest

from limner.core.errors import Conflict, InvalidRequest, NotFound
from limner.core.shelf import NewExperiment, NewTemplate, RewriteCount
from limner.store import prompts

MOODY = NewTemplate(name="moody", text="{prompt}, moody", negative_prompt="sun", description="dark")


async def test_a_template_is_kept_as_version_1_and_changed_by_a_version_beside_it(store):
    shelf = store.prompts
    first = await shelf.add_template(MOODY, "ann")
    second = await shelf.add_template(MOODY.model_copy(update={"text": "{prompt}, moodier"}), "bob")
    assert (first.ref, first.by, first.text) == ("moody@1", "ann", "{prompt}, moody")
    assert (second.ref, second.by, second.text) == ("moody@2", "bob", "{prompt}, moodier")
    assert await shelf.template("moody") == second
    assert await shelf.template("moody", 1) == first
    assert await shelf.versions("moody") == [second, first]
    assert first.created_at > 0


async def test_the_newest_text_said_again_is_no_new_version(store):
    first = await store.prompts.add_template(MOODY, "ann")
    assert await store.prompts.add_template(MOODY, "bob") == first


async def test_templates_that_come_at_once_get_versions_of_their_own(store):
    new = [MOODY.model_copy(update={"text": f"{{prompt}} {n}"}) for n in range(8)]
    kept = await asyncio.gather(*(store.prompts.add_template(one, "ann") for one in new))
    assert sorted(one.version for one in kept) == list(range(1, 9))


async def test_the_newest_of_each_is_listed_by_name(store):
    for name in ("b", "a", "b"):
        await store.prompts.add_template(NewTemplate(name=name, text=f"{{prompt}} {name}"), "ann")
    await store.prompts.add_template(NewTemplate(name="b", text="{prompt}"), "ann")
    assert [one.ref for one in await store.prompts.templates()] == ["a@1", "b@2"]


@pytest.mark.parametrize(("name", "version"), [("gone", None), ("moody", 9)])
async def test_a_template_that_is_not_there_is_not_found(store, name, version):
    await store.prompts.add_template(MOODY, "ann")
    with pytest.raises(NotFound, match=name):
        await store.prompts.template(name, version)


async def test_versions_of_a_name_that_is_not_there_are_not_found(store):
    with pytest.raises(NotFound, match="gone"):
        await store.prompts.versions("gone")


async def test_there_is_an_end_to_templates(store, monkeypatch):
    monkeypatch.setattr(prompts, "MAX_TEMPLATES", 1)
    monkeypatch.setattr(prompts, "MAX_VERSIONS", 1)
    await store.prompts.add_template(MOODY, "ann")
    for new in (MOODY.model_copy(update={"text": "{prompt}"}), NewTemplate(name="more", text="{prompt}")):
        with pytest.raises(InvalidRequest, match="too many templates"):
            await store.prompts.add_template(new, "ann")


async def test_a_test_is_begun_once_and_ended(store):
    new = NewExperiment(name="duel", arms=("a@1", "b@1"))
    begun = await store.prompts.add_experiment(new, "ann")
    assert (begun.arms, begun.by, begun.ended_at) == (("a@1", "b@1"), "ann", None)
    with pytest.raises(Conflict, match="duel"):
        await store.prompts.add_experiment(new, "bob")
    ended = await store.prompts.end_experiment("duel")
    assert ended.ended_at is not None
    assert await store.prompts.end_experiment("duel") == ended
    assert await store.prompts.experiments() == [ended]


async def test_a_test_that_is_not_there_is_not_found(store):
    for verb in (store.prompts.experiment, store.prompts.end_experiment):
        with pytest.raises(NotFound, match="gone"):
            await verb("gone")


async def judged(store, image, verdict, who="ann", style="oil"):
    await store.prompts.judge(
        who, image, verdict, style=style, size="64x64", provider="easel", trial=("duel", "a@1")
    )


async def test_jobs_and_verdicts_are_counted_by_arm(store):
    for n, arm in enumerate(("a@1", "a@1", "b@1")):
        await store.prompts.add_trial(f"job-{n}", "duel", arm)
    await judged(store, "i1", "kept")
    await judged(store, "i2", "deleted")
    await judged(store, "i1", "kept", who="bob")
    await store.prompts.add_trial("job-9", "other", "a@1")
    assert await store.prompts.arms("duel") == {"a@1": (2, 2, 1), "b@1": (1, 0, 0)}


async def test_the_last_word_about_a_picture_counts(store):
    await judged(store, "i1", "kept")
    await judged(store, "i1", "deleted")
    assert await store.prompts.judged("ann") == {
        "style": [("oil", 0, 1)],
        "size": [("64x64", 0, 1)],
        "provider": [("easel", 0, 1)],
    }


async def test_each_users_verdicts_are_their_own_and_erased_alone(store):
    await judged(store, "i1", "kept")
    await judged(store, "i2", "kept", style=None)
    await judged(store, "i1", "deleted", who="bob")
    assert (await store.prompts.judged("ann"))["style"] == [("oil", 1, 0)]
    assert (await store.prompts.judged("ann"))["size"] == [("64x64", 2, 0)]
    assert await store.prompts.forget("ann") == 2
    assert await store.prompts.judged("ann") == {"style": [], "size": [], "provider": []}
    assert (await store.prompts.judged("bob"))["style"] == [("oil", 0, 1)]
    assert await store.prompts.forget("ann") == 0


async def test_how_rewriting_went_is_summed_up(store):
    one = RewriteCount(
        step="optimize",
        model="m",
        outcome="done",
        count=1,
        characters_before=4000,
        characters_after=2800,
        seconds=1.5,
        retries=1,
    )
    for _ in range(3):
        await store.prompts.count(one)
    failed = one.model_copy(update={"outcome": "failed", "characters_after": 4000})
    await store.prompts.count(failed)
    thrice = {"count": 3, "characters_before": 12_000, "characters_after": 8400, "seconds": 4.5, "retries": 3}
    assert await store.prompts.counts() == [one.model_copy(update=thrice), failed]
