"""Projects and the tables that the clients of earlier programs read, on both databases."""

import json
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from limner.core.errors import Conflict, NotFound
from limner.core.job import Failure
from limner.core.project import project_id
from limner.store.projects import DEFAULT, Projects
from tests.fakes import request, target
from tests.store.test_books import picture
from tests.store.test_store import attempt, ended, event, new

ZOO = str(UUID(int=5))
SCENE = str(UUID(int=6))


@pytest.fixture
def projects(store):
    return Projects(store.connections)


async def ask(store, sql, **values):
    """Rows as older programs read them."""
    found = await store.connections.read(lambda c: c.execute(text(sql), values).mappings().all())
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value):
    """What both databases say, in one way."""
    match value:
        case UUID():
            return str(value)
        case Decimal():
            return float(value)
        case datetime():
            return value.timestamp()
        case str() if value[:1] in ("[", "{"):
            return json.loads(value)
        case str() if value[10:11] == " " and value.endswith("+00:00"):
            return datetime.fromisoformat(value).timestamp()
        case _:
            return value


async def drawn(store, provider="leonardo", tenant="me", **changes):
    """A job with its picture."""
    asked = request(project=ZOO, scene=SCENE, width=512, height=384, **changes)
    order = new(wanted=asked, tenant=tenant)
    await store.enqueue(order, [event(order.job.id)])
    (work,) = await store.claim(1, 15.0)
    sent = asked.model_copy(update={"steps": 30, "guidance_scale": 7.5})
    made = attempt(
        order.job.id, wanted=target(provider).model_copy(update={"request": sent, "ref": "uuid-1"})
    )
    await store.begin(made, work.epoch, [])
    image = picture(order.job, made)
    job = ended(work).model_copy(update={"images": (image,)})
    await store.finish(job, work.epoch, made, 30_000, [])
    return job, image


async def test_generation_jobs_reads_as_the_contract_says(store):
    job, image = await drawn(store, negative_prompt="rain", style="DYNAMIC", options={"alchemy": True})
    (row,) = await ask(store, "SELECT * FROM generation_jobs")
    (shown,) = row.pop("result_images")
    assert row.pop("created_at") == pytest.approx(job.created_at, abs=0.01)
    assert row.pop("completed_at") == pytest.approx(job.finished_at, abs=0.01)
    assert row == {
        "id": job.id,
        "generation_id": job.id,
        "provider": "leonardo",
        "project_id": ZOO,
        "prompt": "a red fox",
        "negative_prompt": "rain",
        "width": 512,
        "height": 384,
        "num_images": 1,
        "model_id": "uuid-1",
        "preset_style": "DYNAMIC",
        "seed": 7,
        "guidance_scale": 7.5,
        "steps": 30,
        "provider_params": {"alchemy": True},
        "status": "completed",
        "error_message": None,
        "cost": 0.03,
    }
    assert shown == {
        "id": image.id,
        "local_path": f"storage/images/{ZOO}/leonardo_ai/{image.file}",
        "seed": 1,
        "width": 1,
        "height": 1,
        "format": "png",
        "file_size": 1,
    }


async def test_a_job_that_was_not_drawn_says_how_it_stands(store):
    waiting = new(wanted=request(project=ZOO, provider="runware"))
    await store.enqueue(waiting, [])
    failing = new(wanted=request(project=ZOO), priority=5)
    await store.enqueue(failing, [])
    (work,) = await store.claim(1, 15.0)
    why = Failure(code="x", message="out of paint")
    await store.end(ended(work, "failed").model_copy(update={"error": why}), work.epoch, [])
    rows = await ask(store, "SELECT * FROM generation_jobs ORDER BY id")
    assert [
        (row["status"], row["provider"], row["error_message"], row["result_images"], row["cost"])
        for row in rows
    ] == [("pending", "runware", None, [], None), ("failed", "none", "out of paint", [], None)]


async def test_images_reads_as_the_contract_says(store):
    job, image = await drawn(store)
    (row,) = await ask(store, "SELECT * FROM images")
    assert row.pop("created_at") == row.pop("updated_at") == pytest.approx(image.created_at, abs=0.01)
    place = f"storage/images/{ZOO}/leonardo_ai/{image.file}"
    assert row == {
        "internal_id": image.id,
        "id": image.id,
        "url": None,
        "local_path": place,
        "local_url": f"/{place}",
        "scene_id": SCENE,
        "project_id": ZOO,
        "prompt_artstyle": None,
        "prompt_scenery": None,
        "prompt_actor": None,
        "full_prompt": "a red fox",
        "provider": "leonardo",
        "provider_model_id": "uuid-1",
        "type": "generated",
        "tags": None,
        "generation_id": job.id,
        "status": "active",
        "file_size": 1,
        "file_format": "png",
        "dimensions": "1x1",
        "width": 1,
        "height": 1,
        "seed": 1,
        "steps": 30,
        "guidance_scale": 7.5,
    }


async def test_image_variants_has_one_main_row_for_each_picture(store):
    _, image = await drawn(store)
    (row,) = await ask(store, "SELECT * FROM image_variants")
    assert row.pop("created_at") == pytest.approx(image.created_at, abs=0.01)
    assert bool(row.pop("is_primary")) is True
    assert row == {"id": f"{image.id}-main", "image_id": image.id, "variant_type": "main"}


async def test_provider_configs_has_four_rows_that_hold_no_key(store):
    rows = await ask(store, "SELECT * FROM provider_configs ORDER BY max_images")
    assert [(one["provider"], one["max_images"], one["max_width"], one["api_key_env"]) for one in rows] == [
        ("gemini", 1, 1024, "GEMINI_API_KEY"),
        ("comfyui", 4, 1024, None),
        ("leonardo", 8, 1024, "LEONARDO_API_KEY"),
        ("runware", 20, 2048, "RUNWARE_API_KEY"),
    ]
    assert all(one["is_enabled"] for one in rows)
    assert rows[0]["supported_formats"] == ["png"]
    assert set(rows[0]) == {
        *("id", "provider", "name", "description", "base_url", "api_key_env", "is_enabled", "default_model"),
        *("supported_formats", "max_width", "max_height", "max_images", "rate_limit_per_minute"),
        *("rate_limit_per_hour", "config_schema", "created_at", "updated_at"),
    }


async def test_the_projects_table_has_the_contracts_columns_and_the_default_project(store):
    (row,) = await ask(store, "SELECT * FROM projects")
    assert {*("id", "name", "description", "created_at", "updated_at", "user_id")} <= set(row)
    assert (row["id"], row["name"], row["user_id"]) == (str(project_id(DEFAULT)), "default", None)


async def test_a_picture_that_is_put_away_stays_as_deleted(store, projects):
    _, image = await drawn(store)
    await projects.remove_image(image.id, "me")
    assert await ask(store, "SELECT status FROM images") == [{"status": "deleted"}]
    with pytest.raises(NotFound):
        await store.image(image.id)
    with pytest.raises(NotFound):
        await projects.remove_image(image.id, "me")


async def test_anothers_picture_cannot_be_put_away(store, projects):
    _, image = await drawn(store)
    with pytest.raises(NotFound):
        await projects.remove_image(image.id, "you")
    assert (await store.image(image.id)).id == image.id


async def test_an_order_makes_its_projects_row_in_the_same_commit_and_once(store, projects):
    for tenant in ("me", "you"):
        await store.enqueue(new(wanted=request(project="zoo"), tenant=tenant), [])
    (project,) = [one for one in await projects.all("me") if one.slug == "zoo"]
    assert project.id == project_id("zoo")
    assert "zoo" not in [one.slug for one in await projects.all("you")]


async def test_a_project_is_made_read_and_put_away(projects):
    made = await projects.create("Zoo", None, "me")
    assert await projects.one(made.id, "me") == made
    assert await projects.slug(made.id, "me") == str(made.id)
    assert await projects.delete(made.id, "me") == made
    for act in (projects.one, projects.slug, projects.delete):
        with pytest.raises(NotFound):
            await act(made.id, "me")


async def test_the_default_project_cannot_be_deleted(projects):
    with pytest.raises(Conflict):
        await projects.delete(project_id(DEFAULT), "me")
    assert await projects.slug(project_id(DEFAULT), "me") == DEFAULT


async def test_an_unknown_project_is_called_by_its_id(projects):
    assert await projects.slug(UUID(ZOO), "me") == ZOO


async def test_history_is_what_one_ordered_and_what_is_in_ones_projects(store, projects):
    mine, _ = await drawn(store)
    theirs, _ = await drawn(store, "runware", tenant="you")
    assert [job.id for job in await projects.history("me")] == [theirs.id, mine.id]
    assert [job.id for job in await projects.history("you")] == [theirs.id]
    assert await projects.history("nobody") == []
    assert [job.id for job in await projects.history("me", provider="leonardo")] == [mine.id]
    assert await projects.history("me", status="failed") == []
    assert len(await projects.history("me", project=UUID(ZOO), status="completed", limit=1)) == 1
    assert await projects.history("you", job_id=mine.id) == []
