"""Projects, switches of providers, and the tables that older programs read."""

from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PROJECTS = UUID("6b1f5c1e-6c0e-5d0b-9c39-9a1b1c7f2d10")
_CONFIGS = UUID("0f0d4b52-92c5-5f0a-8a5b-5d8a0f3b6e21")
_ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_TIME = sa.DateTime(timezone=True)
_FORMATS = sa.JSON().with_variant(postgresql.ARRAY(sa.Text()), "postgresql")


def upgrade() -> None:
    """Make the change."""
    op.add_column(
        "artifacts", sa.Column("status", sa.String(length=20), server_default="active", nullable=False)
    )
    _add_projects()
    _add_configs()
    views = _postgres_views() if op.get_bind().dialect.name == "postgresql" else _sqlite_views()
    for name, query in views.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def _add_projects() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(length=200), nullable=True),
        *_times(),
        sa.Column("deleted_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("slug", name="uq_projects_slug"),
    )
    used = op.get_bind().execute(sa.text("SELECT project, min(tenant) FROM jobs GROUP BY project")).all()
    owners: dict[str, str | None] = dict(tuple(row) for row in used) | {"default": None}
    op.bulk_insert(
        projects,
        [
            {"id": _id_of(name), "slug": name, "name": name, "user_id": owner}
            for name, owner in owners.items()
        ],
    )


def _id_of(name: str) -> str:
    try:
        given = str(UUID(name))
    except ValueError:
        given = ""
    return name if given == name else str(uuid5(_PROJECTS, name))


def _add_configs() -> None:
    configs = op.create_table(
        "provider_configs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("base_url", sa.String(length=500), nullable=True),
        sa.Column("api_key_env", sa.String(length=100), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("default_model", sa.String(length=255), nullable=True),
        sa.Column("supported_formats", _FORMATS, nullable=True),
        sa.Column("max_width", sa.Integer(), nullable=True),
        sa.Column("max_height", sa.Integer(), nullable=True),
        sa.Column("max_images", sa.Integer(), nullable=True),
        sa.Column("rate_limit_per_minute", sa.Integer(), nullable=True),
        sa.Column("rate_limit_per_hour", sa.Integer(), nullable=True),
        sa.Column("config_schema", sa.JSON(), nullable=True),
        *_times(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_configs")),
        sa.UniqueConstraint("provider", name="uq_provider_configs_provider"),
    )
    op.create_index("ix_provider_configs_is_enabled", "provider_configs", ["is_enabled"], unique=False)
    op.bulk_insert(configs, [_config(*one) for one in _SEEDS])


def _times() -> tuple[sa.Column[Any], sa.Column[Any]]:
    now = sa.func.current_timestamp()
    return (
        sa.Column("created_at", _TIME, server_default=now, nullable=False),
        sa.Column("updated_at", _TIME, server_default=now, nullable=False),
    )


_SEEDS = (
    (
        *("leonardo", "Leonardo.Ai", "https://cloud.leonardo.ai/api/rest/v1", "LEONARDO_API_KEY"),
        *("de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3", ("jpg", "png", "webp"), 1024, 8),
    ),
    (
        *("runware", "Runware", "https://api.runware.ai/v1", "RUNWARE_API_KEY"),
        *("runware:100@1", ("jpg", "png", "webp"), 2048, 20),
    ),
    (
        *("gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
        *("gemini-2.5-flash-image", ("png",), 1024, 1),
    ),
    ("comfyui", "ComfyUI", "http://localhost:8188", None, "flux-dev", ("png", "jpg"), 1024, 4),
)


def _config(  # noqa: PLR0917 - the columns of one row
    provider: str,
    name: str,
    base_url: str,
    key: str | None,
    model: str,
    formats: tuple[str, ...],
    side: int,
    images: int,
) -> dict[str, object]:
    return {
        "id": str(uuid5(_CONFIGS, provider)),
        "provider": provider,
        "name": name,
        "base_url": base_url,
        "api_key_env": key,
        "default_model": model,
        "supported_formats": list(formats),
        "max_width": side,
        "max_height": side,
        "max_images": images,
    }


_STATUS = """CASE j.state WHEN 'queued' THEN 'pending' WHEN 'needs_confirmation' THEN 'pending'
  WHEN 'succeeded' THEN 'completed' WHEN 'failed' THEN 'failed' WHEN 'canceled' THEN 'failed'
  ELSE 'processing' END"""
_MICROS = """(SELECT CASE WHEN count(*) = 0 OR sum(CASE
    WHEN c.state = 'refused' THEN 0
    WHEN c.state NOT IN ('answered', 'settled', 'unknown', 'written_off') THEN 1
    WHEN coalesce(c.price_actual, c.price_reserved) IS NULL THEN 1
    ELSE 0 END) > 0 THEN NULL
  ELSE sum(CASE WHEN c.state = 'refused' THEN 0 ELSE coalesce(c.price_actual, c.price_reserved) END)
  END FROM attempts c WHERE c.job_id = j.id)"""
_FOLDER = (
    "CASE i.provider WHEN 'leonardo' THEN 'leonardo_ai' WHEN 'runware' THEN 'runware_ai' ELSE i.provider END"
)
_PATH = f"'storage/images/' || i.project || '/' || {_FOLDER} || '/' || i.file"
_DRAWN_BY = "(SELECT i.provider FROM artifacts i WHERE i.job_id = j.id AND i.idx = 0)"
_LAST = """LEFT JOIN attempts a ON a.job_id = j.id
  AND a.n = (SELECT max(l.n) FROM attempts l WHERE l.job_id = j.id)"""


def _sqlite_views() -> dict[str, str]:
    def of(column: str, path: str) -> str:
        return f"json_extract({column}, '$.{path}')"

    def time(column: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f+00:00', {column}, 'unixepoch')"

    project = "(SELECT p.id FROM projects p WHERE p.slug = {}.project)"
    jobs = f"""
SELECT j.id AS id, j.id AS generation_id,
  coalesce({_DRAWN_BY}, a.provider, {of("j.request", "provider")}, {of("j.request", "policy.first")}, 'none')
    AS provider,
  {project.format("j")} AS project_id,
  coalesce({of("j.request", "prompting.done.prompt")}, {of("j.request", "prompt")}) AS prompt,
  {of("j.request", "negative_prompt")} AS negative_prompt,
  coalesce({of("j.request", "width")}, {of("a.target", "request.width")}) AS width,
  coalesce({of("j.request", "height")}, {of("a.target", "request.height")}) AS height,
  {of("j.request", "count")} AS num_images,
  coalesce({of("j.request", "model")}, {of("a.target", "ref")}) AS model_id,
  {of("j.request", "style")} AS preset_style, {of("j.request", "seed")} AS seed,
  coalesce({of("j.request", "guidance_scale")}, {of("a.target", "request.guidance_scale")}) AS guidance_scale,
  coalesce({of("j.request", "steps")}, {of("a.target", "request.steps")}) AS steps,
  {of("j.request", "options")} AS provider_params,
  {_STATUS} AS status,
  {time("j.created_at")} AS created_at, {time("j.finished_at")} AS completed_at,
  CASE WHEN j.state = 'canceled' THEN 'cancelled' ELSE {of("j.error", "message")} END AS error_message,
  (SELECT json_group_array(json_object('id', r.id, 'local_path', r.local_path, 'seed', r.seed,
     'width', r.width, 'height', r.height, 'format', r.file_format, 'file_size', r.file_size))
   FROM (SELECT i.id, {_PATH} AS local_path, i.seed, i.width, i.height, i.format AS file_format,
     i.size_bytes AS file_size FROM artifacts i WHERE i.job_id = j.id ORDER BY i.idx) r) AS result_images,
  {_MICROS} / 1000000.0 AS cost
FROM jobs j {_LAST}"""  # noqa: S608 - no words but ours
    images = f"""
SELECT i.id AS internal_id, i.id AS id, NULL AS url, {_PATH} AS local_path, '/' || {_PATH} AS local_url,
  {of("j.request", "scene")} AS scene_id, {project.format("i")} AS project_id,
  NULL AS prompt_artstyle, NULL AS prompt_scenery, NULL AS prompt_actor,
  {of("i.recipe", "request.prompt")} AS full_prompt, i.provider AS provider,
  coalesce({of("a.target", "ref")}, i.model) AS provider_model_id,
  CASE {of("i.recipe", "request.operation")} WHEN 'variation' THEN 'variation' ELSE 'generated' END AS type,
  NULL AS tags, i.job_id AS generation_id, i.status AS status,
  {time("i.created_at")} AS created_at, {time("i.created_at")} AS updated_at,
  i.size_bytes AS file_size, i.format AS file_format, i.width || 'x' || i.height AS dimensions,
  i.width AS width, i.height AS height, i.seed AS seed,
  {of("i.recipe", "request.steps")} AS steps, {of("i.recipe", "request.guidance_scale")} AS guidance_scale
FROM artifacts i JOIN jobs j ON j.id = i.job_id JOIN attempts a ON a.id = i.attempt_id"""  # noqa: S608 - no words but ours
    variants = f"""
SELECT i.id || '-main' AS id, i.id AS image_id, 1 AS is_primary,
  CASE {of("i.recipe", "request.operation")} WHEN 'variation' THEN 'variation' WHEN 'upscale' THEN 'upscale'
    ELSE 'main' END AS variant_type, {time("i.created_at")} AS created_at
FROM artifacts i"""  # noqa: S608 - no words but ours
    return {"generation_jobs": jobs, "images": images, "image_variants": variants}


def _postgres_views() -> dict[str, str]:
    def of(column: str, *path: str, kind: str = "text") -> str:
        return f"CAST(CAST({column} AS jsonb) #>> '{{{','.join(path)}}}' AS {kind})"

    def uuid(column: str) -> str:
        known = "'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'"
        return (
            f"CASE WHEN {column} ~ {known} THEN CAST({column} AS uuid) ELSE CAST(md5({column}) AS uuid) END"
        )

    project = "(SELECT p.id FROM projects p WHERE p.slug = {}.project)"
    number = "decimal(4,2)"
    jobs = f"""
SELECT {uuid("j.id")} AS id, CAST(j.id AS varchar(255)) AS generation_id,
  CAST(coalesce({_DRAWN_BY}, a.provider, {of("j.request", "provider")}, {of("j.request", "policy", "first")},
    'none') AS varchar(50)) AS provider,
  {project.format("j")} AS project_id,
  coalesce({of("j.request", "prompting", "done", "prompt")}, {of("j.request", "prompt")}) AS prompt,
  {of("j.request", "negative_prompt")} AS negative_prompt,
  coalesce({of("j.request", "width", kind="int")}, {of("a.target", "request", "width", kind="int")}) AS width,
  coalesce({of("j.request", "height", kind="int")}, {of("a.target", "request", "height", kind="int")})
    AS height,
  {of("j.request", "count", kind="int")} AS num_images,
  CAST(coalesce({of("j.request", "model")}, {of("a.target", "ref")}) AS varchar(255)) AS model_id,
  CAST({of("j.request", "style")} AS varchar(50)) AS preset_style,
  {of("j.request", "seed", kind="bigint")} AS seed,
  coalesce({of("j.request", "guidance_scale", kind=number)},
    {of("a.target", "request", "guidance_scale", kind=number)}) AS guidance_scale,
  coalesce({of("j.request", "steps", kind="int")}, {of("a.target", "request", "steps", kind="int")}) AS steps,
  CAST(j.request AS json) -> 'options' AS provider_params,
  CAST({_STATUS} AS varchar(50)) AS status,
  to_timestamp(j.created_at) AS created_at, to_timestamp(j.finished_at) AS completed_at,
  CASE WHEN j.state = 'canceled' THEN 'cancelled' ELSE {of("j.error", "message")} END AS error_message,
  (SELECT coalesce(json_agg(json_build_object('id', i.id, 'local_path', {_PATH}, 'seed', i.seed,
     'width', i.width, 'height', i.height, 'format', i.format, 'file_size', i.size_bytes) ORDER BY i.idx),
     CAST('[]' AS json)) FROM artifacts i WHERE i.job_id = j.id) AS result_images,
  CAST({_MICROS} / 1000000.0 AS decimal(10,6)) AS cost
FROM jobs j {_LAST}"""  # noqa: S608 - no words but ours
    images = f"""
SELECT {uuid("i.id")} AS internal_id, CAST(i.id AS varchar(255)) AS id, CAST(NULL AS varchar(500)) AS url,
  CAST({_PATH} AS varchar(500)) AS local_path, CAST('/' || {_PATH} AS varchar(500)) AS local_url,
  {of("j.request", "scene", kind="uuid")} AS scene_id, {project.format("i")} AS project_id,
  CAST(NULL AS text) AS prompt_artstyle, CAST(NULL AS text) AS prompt_scenery,
  CAST(NULL AS text) AS prompt_actor, {of("i.recipe", "request", "prompt")} AS full_prompt,
  CAST(i.provider AS varchar(50)) AS provider,
  CAST(coalesce({of("a.target", "ref")}, i.model) AS varchar(255)) AS provider_model_id,
  CAST(CASE {of("i.recipe", "request", "operation")} WHEN 'variation' THEN 'variation' ELSE 'generated' END
    AS varchar(50)) AS type,
  CAST(NULL AS text) AS tags, CAST(i.job_id AS varchar(255)) AS generation_id,
  CAST(i.status AS varchar(50)) AS status,
  to_timestamp(i.created_at) AS created_at, to_timestamp(i.created_at) AS updated_at,
  i.size_bytes AS file_size, CAST(i.format AS varchar(10)) AS file_format,
  CAST(i.width || 'x' || i.height AS varchar(20)) AS dimensions, i.width AS width, i.height AS height,
  i.seed AS seed, {of("i.recipe", "request", "steps", kind="int")} AS steps,
  {of("i.recipe", "request", "guidance_scale", kind=number)} AS guidance_scale
FROM artifacts i JOIN jobs j ON j.id = i.job_id JOIN attempts a ON a.id = i.attempt_id"""  # noqa: S608 - no words but ours
    variants = f"""
SELECT CAST(i.id || '-main' AS varchar(255)) AS id, {uuid("i.id")} AS image_id, true AS is_primary,
  CAST(CASE {of("i.recipe", "request", "operation")} WHEN 'variation' THEN 'variation'
    WHEN 'upscale' THEN 'upscale' ELSE 'main' END AS varchar(50)) AS variant_type,
  to_timestamp(i.created_at) AS created_at
FROM artifacts i"""  # noqa: S608 - no words but ours
    return {"generation_jobs": jobs, "images": images, "image_variants": variants}
