"""What Limner promises, seen from outside, at every door: paid once, never lost, said plainly."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from tests.conformance.scene import counted, limner, simulator

MODEL = "openai/gpt-image-1-mini"
PROJECT = str(UUID(int=7))


@dataclass(frozen=True, slots=True)
class Door:
    """How one door is asked for a picture, and what tells one job from another in its answers."""

    path: str
    order: Callable[[str], Mapping[str, object]]
    identity: Callable[[httpx.Response], object]


DOORS = {
    "native": Door(
        "/v1/jobs",
        lambda prompt: {"prompt": prompt, "model": MODEL, "seed": 7},
        lambda answer: answer.json()["id"],
    ),
    "openai": Door(
        "/v1/images/generations",
        lambda prompt: {"prompt": prompt, "model": MODEL, "seed": 7},
        lambda answer: answer.headers["x-limner-job"],
    ),
    "unified": Door(
        "/unified/generate",
        lambda prompt: {
            "prompt": prompt,
            "model_id": MODEL,
            "project_id": PROJECT,
            "width": 1024,
            "height": 1024,
            "preset_style": None,
        },
        lambda answer: answer.json()["generation_id"],
    ),
    "two-phase": Door(
        "/generate-image",
        lambda prompt: {"prompt": prompt, "provider": "openai", "model": "gpt-image-1-mini"},
        lambda answer: answer.json()["imageUrl"],
    ),
    "hugging-face": Door(
        f"/models/{MODEL}",
        lambda prompt: {"inputs": prompt},
        lambda answer: answer.headers["x-limner-job"],
    ),
    "web-ui": Door(
        "/sdapi/v1/txt2img",
        lambda prompt: {
            "prompt": prompt,
            "width": 1024,
            "height": 1024,
            "override_settings": {"sd_model_checkpoint": MODEL},
        },
        lambda answer: answer.headers["x-limner-job"],
    ),
}


@asynccontextmanager
async def clients(app: Limner) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP doors over a Limner that is already running."""
    transport = httpx.ASGITransport(create_app(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test", timeout=60) as http:
        yield http


@pytest.fixture(params=sorted(DOORS))
def door(request) -> Door:
    return DOORS[request.param]


async def test_two_hundred_equal_posts_at_once_are_one_job_and_one_bill(door, home):
    async with simulator("openai") as sim, limner(home, sim) as app, clients(app) as http:
        sim.fault("slow", "openai", after_s=0.2)  # the first is still under way when the last one comes

        async def post(prompt: str, key: str) -> httpx.Response:
            return await http.post(door.path, json=door.order(prompt), headers={"Idempotency-Key": key})

        answers = await asyncio.gather(*(post("a red fox", "k") for _ in range(200)))
        assert {one.status_code for one in answers} <= {200, 202}
        assert len({door.identity(one) for one in answers}) == 1
        assert (await post("a blue fox", "k")).status_code == 409
        job = (await app.jobs())[0]
        await app.wait(job.id)
        assert (sim.bill.orders("openai"), len(await app.jobs())) == (1, 1)


async def test_the_key_still_means_the_same_job_after_a_restart(door, home):
    key = {"Idempotency-Key": "k"}
    async with simulator("openai") as sim:
        async with limner(home, sim) as app, clients(app) as http:
            first = await http.post(door.path, json=door.order("a red fox"), headers=key)
            await app.wait((await app.jobs())[0].id)
        async with limner(home, sim) as app, clients(app) as http:
            again = await http.post(door.path, json=door.order("a red fox"), headers=key)
            other = await http.post(door.path, json=door.order("a blue fox"), headers=key)
            assert (door.identity(again), other.status_code) == (door.identity(first), 409)
        assert sim.bill.orders("openai") == 1


async def test_a_paid_answer_that_is_lost_is_charged_once_held_and_left_to_a_person(home):
    async with simulator("openai", "together") as sim:
        sim.fault("slow_body", "openai", after_s=30)  # drawn and billed, but it never gets here
        async with limner(home, sim, timeout_s=0.3) as app, clients(app) as http:
            answer = await http.post("/v1/images/generations", json=DOORS["openai"].order("a red fox"))
            job = (await app.jobs())[0]
            said = answer.json()["error"]
            assert (answer.status_code, said["code"], answer.headers["x-should-retry"]) == (
                504,
                "outcome_unknown",
                "false",
            )
            assert f"POST /v1/jobs/{job.id}/decide: pay_again or write_off or delivered" in said["message"]
            assert (job.state, [one.state for one in job.receipt.attempts]) == (
                "needs_confirmation",
                ["unknown"],
            )
            [lost] = (await http.get("/v1/reconcile")).json()["data"]
            assert lost["job_id"] == job.id
            price = job.receipt.attempts[0].price_usd
            # It may have been charged: it counts against every budget until somebody knows better.
            assert price is not None
            assert price > 0
            settled, held, _ = counted(home, "openai")
            assert (settled, Decimal(held) / 1_000_000) == (0, price)
        assert (sim.bill.orders("openai"), sim.bill.orders("together")) == (1, 0)
