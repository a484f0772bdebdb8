"""Contract 3, the database: columns and their types, on SQLite and PostgreSQL.

What each row says is proven in `tests/store/test_projects.py`, and that a migration from every earlier
version makes the same tables in `tests/store/test_migrate.py` and `test_migrate_postgres.py`. Whose rows a
caller sees (the row-level rule) is kept by the doors: `tests/api/test_unified.py`,
`tests/api/test_projects.py`.
"""

import json

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from limner.core.request import GenerateRequest
from tests.store.test_projects import ask, drawn

MOST = 2**63 - 1

COLUMNS = {
    "projects": "id uuid|name varchar(200)|description text|created_at time|updated_at time"
    "|user_id varchar(200)",
    "generation_jobs": "id uuid|generation_id varchar(255)|provider varchar(50)|project_id uuid|prompt text"
    "|negative_prompt text|width integer|height integer|num_images integer|model_id varchar(255)"
    "|preset_style varchar(50)|seed bigint|guidance_scale numeric(4,2)|steps integer"
    "|provider_params json|status varchar(50)|created_at time|completed_at time"
    "|error_message text|result_images json|cost numeric(10,6)",
    "provider_configs": "id uuid|provider varchar(50)|name varchar(100)|description text"
    "|base_url varchar(500)"
    "|api_key_env varchar(100)|is_enabled boolean|default_model varchar(255)"
    "|supported_formats ARRAY|max_width integer|max_height integer|max_images integer"
    "|rate_limit_per_minute integer|rate_limit_per_hour integer|config_schema json"
    "|created_at time|updated_at time",
    "images": "internal_id uuid|id varchar(255)|url varchar(500)|local_path varchar(500)"
    "|local_url varchar(500)|scene_id uuid|project_id uuid|prompt_artstyle text"
    "|prompt_scenery text|prompt_actor text|full_prompt text|provider varchar(50)"
    "|provider_model_id varchar(255)|type varchar(50)|tags text|generation_id varchar(255)"
    "|status varchar(50)|created_at time|updated_at time|file_size bigint|file_format varchar(10)"
    "|dimensions varchar(20)|width integer|height integer|seed bigint|steps integer"
    "|guidance_scale numeric(4,2)",
    "image_variants": "id varchar(255)|image_id uuid"
    "|is_primary boolean|variant_type varchar(50)|created_at time",
}
"""As the contract's table says, in the words of PostgreSQL."""
NUMBERS = {
    "generation_jobs": ("width", "height", "num_images", "seed", "steps"),
    "images": ("file_size", "width", "height", "seed", "steps"),
    "provider_configs": ("max_width", "max_height", "max_images"),
}


async def shown_types(store, table):
    """Every column with its type, as PostgreSQL tells programs."""
    rows = await ask(
        store,
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale"
        f" FROM information_schema.columns WHERE table_name = '{table}'",
    )
    return {row["column_name"]: _spelled(row) for row in rows}


def _spelled(row):
    match row["data_type"]:
        case "character varying":
            return f"varchar({row['character_maximum_length']})"
        case "numeric":
            return f"numeric({row['numeric_precision']},{row['numeric_scale']})"
        case "timestamp with time zone":
            return "time"
        case kind:
            return kind


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("address", ["postgres"], indirect=True)
async def test_on_postgresql_every_column_has_the_contracts_type(store, table):
    wanted = dict(one.split(" ", 1) for one in COLUMNS[table].split("|"))
    found = await shown_types(store, table)
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
async def test_on_sqlite_every_column_is_there_by_its_name(store, table):
    wanted = {one.split(" ", 1)[0] for one in COLUMNS[table].split("|")}
    found = await ask(store, f"SELECT name FROM pragma_table_info('{table}')")
    assert wanted <= {row["name"] for row in found}


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
async def test_numbers_are_numbers_and_not_strings_on_sqlite_either(store):
    await drawn(store)
    for table, names in NUMBERS.items():
        kinds = ", ".join(f"typeof({name}) AS {name}" for name in names)
        for row in await ask(store, f"SELECT {kinds} FROM {table}"):
            assert set(row.values()) == {"integer"}, (table, row)


async def test_a_seed_needs_64_bits_and_has_them(store):
    await drawn(store, seed=MOST)
    assert await ask(store, "SELECT seed FROM generation_jobs") == [{"seed": MOST}]


def test_guidance_that_decimal_4_2_cannot_hold_is_never_ordered():
    with pytest.raises(ValidationError, match="less than or equal to 30"):
        GenerateRequest(prompt="a fox", guidance_scale=30.01)


async def test_provider_and_generation_id_are_unique_together(store):
    for provider in ("leonardo", "runware"):
        await drawn(store, provider)
    (row,) = await ask(
        store,
        "SELECT count(*) AS rows_, count(DISTINCT provider || '/' || generation_id) AS names"
        " FROM generation_jobs",
    )
    assert (row["rows_"], row["names"]) == (2, 2)


async def test_a_variant_points_at_the_internal_id_of_its_image(store):
    await drawn(store)
    joined = await ask(
        store,
        "SELECT v.variant_type, i.type, i.status FROM image_variants v"
        " JOIN images i ON v.image_id = i.internal_id",
    )
    assert joined == [{"variant_type": "main", "type": "generated", "status": "active"}]


async def test_the_key_of_a_provider_is_named_and_never_kept(store):
    rows = await ask(store, "SELECT api_key_env FROM provider_configs ORDER BY provider")
    assert [row["api_key_env"] for row in rows] == [
        None,
        "GEMINI_API_KEY",
        "LEONARDO_API_KEY",
        "RUNWARE_API_KEY",
    ]


async def test_the_four_seed_rows_are_the_table_of_limits(store):
    rows = await ask(
        store,
        "SELECT provider, default_model, supported_formats, max_width, max_height, max_images, is_enabled"
        " FROM provider_configs ORDER BY provider",
    )
    assert [
        (*list(row.values())[:2], _formats(row), *list(row.values())[3:6], bool(row["is_enabled"]))
        for row in rows
    ] == [
        ("comfyui", "flux-dev", ["png", "jpg"], 1024, 1024, 4, True),
        ("gemini", "gemini-2.5-flash-image", ["png"], 1024, 1024, 1, True),
        ("leonardo", "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3", ["jpg", "png", "webp"], 1024, 1024, 8, True),
        ("runware", "runware:100@1", ["jpg", "png", "webp"], 2048, 2048, 20, True),
    ]


def _formats(row):
    given = row["supported_formats"]
    return json.loads(given) if isinstance(given, str) else given


async def test_one_configuration_for_each_provider(store):
    def twice(connection):
        connection.execute(
            text(
                "INSERT INTO provider_configs (id, provider, name)"
                " SELECT '00000000-0000-0000-0000-000000000001', provider, name FROM provider_configs"
                " WHERE provider = 'gemini'"
            )
        )

    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.connections.write(twice)
