"""What people and their programs really send."""

import pytest

from limner.core.errors import InvalidRequest
from limner.core.request import MAX_SEED
from limner.simulator.journal import texts
from limner.simulator.world import World
from tests.conformance.scene import end, scene, wanted

STRANGE = "\n".join(
    (
        """a "red" fox's 'den' \\ back\\slash `tick` ${HOME} %s {0} {{x}} <lora:x:1> (fox:1.2)""",
        "tabs\tand\r\nother ends of lines\n\n--ar 16:9",
        "\N{FOX FACE} 红色的狐狸 ثعلب أحمر e\u0301 \N{ZERO WIDTH JOINER}\u202e.",
        "</script><img src=x onerror=alert(1)>&amp;&#0;",
    )
)


@pytest.fixture
def heard(monkeypatch):
    """All texts that vendors were sent, as they read them."""
    found = []
    note = World.note

    def noted(world, method, path, body, *rest):
        found.append(texts(body))
        return note(world, method, path, body, *rest)

    monkeypatch.setattr(World, "note", noted)
    return found


async def test_a_strange_prompt_arrives_as_it_was_written(vendor, home, heard):
    async with scene(home, vendor) as now:
        job = await now.draw(vendor, STRANGE)
        now.check_money(vendor)
    assert end(job) == "succeeded"
    assert any(STRANGE in text for text in heard), heard
    assert job.images[0].recipe.prompt == STRANGE


async def test_a_prompt_of_ten_thousand_characters_is_drawn_or_refused_before_any_request(vendor, home):
    async with scene(home, vendor) as now:
        request = wanted(vendor, "fox " * 2500)
        try:
            await now.limner.estimate(request)
        except InvalidRequest:
            with pytest.raises(InvalidRequest, match="reads at most"):
                await now.limner.draw(request)
            assert now.sim.requests(vendor) == []
        else:
            assert end(await now.limner.draw(request)) == "succeeded"
            now.check_money(vendor)


async def test_the_largest_seed_is_taken_or_bent_with_a_note(vendor, home):
    async with scene(home, vendor) as now:
        job = await now.draw(vendor, seed=MAX_SEED)
        told = any(note.field == "seed" for note in job.receipt.notes)
        assert (end(job), told or job.images[0].seed == MAX_SEED) == ("succeeded", True)
        now.check_money(vendor)
