"""The tables. Times are Unix seconds, money is whole micro-dollars, JSON is text written by pydantic."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("project", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("request", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("client_key", String(255)),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("not_before", Double, nullable=False, server_default="0"),
    Column("lease_owner", String(64)),
    Column("lease_until", Double, nullable=False, server_default="0"),
    Column("lease_epoch", Integer, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("deadline_s", Double, nullable=False),
    Column("notes", Text, nullable=False, server_default="[]"),
    Column("passed_over", Text, nullable=False, server_default="[]"),
    Column("error", Text),
    Column("images", Integer, nullable=False, server_default="1"),
    Column("account", String(64)),
    Column("ceiling", BigInteger),
    Column("confirmation", Text),
    Column("expires_at", Double, nullable=False, server_default="0"),
    UniqueConstraint("tenant", "client_key", name="uq_jobs_client_key"),
)
Index("ix_jobs_tenant", jobs.c.tenant, jobs.c.created_at)
Index("ix_jobs_project", jobs.c.project, jobs.c.id)
Index("ix_jobs_created", jobs.c.created_at)
# The claim looks at open jobs only; finished ones never slow it down.
IS_OPEN = text("state IN ('queued', 'running', 'waiting', 'storing')")
"""As text, also in statements: no database sees that parameters would match the index's own words."""
Index("ix_jobs_open", jobs.c.priority, jobs.c.id, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
IS_QUEUED = text("state = 'queued'")
IS_BEGUN = text("state IN ('running', 'waiting', 'storing')")
Index(
    "ix_jobs_line",
    jobs.c.tenant,
    jobs.c.priority.desc(),
    jobs.c.id,
    jobs.c.account,
    jobs.c.expires_at,
    sqlite_where=IS_QUEUED,
    postgresql_where=IS_QUEUED,
)
Index("ix_jobs_expiring", jobs.c.expires_at, sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED)
Index("ix_jobs_begun", jobs.c.id, jobs.c.tenant, sqlite_where=IS_BEGUN, postgresql_where=IS_BEGUN)

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("account", String(64), nullable=False),
    Column("model", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("how", String(20), nullable=False),
    Column("target", Text, nullable=False),
    Column("ticket", Text),
    Column("price_reserved", BigInteger),
    Column("price_actual", BigInteger),
    Column("submitted_at", Double, nullable=False),
    Column("deadline_at", Double, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("error", Text),
    Column("hook", String(64)),
    Column("decided", Text),
    UniqueConstraint("job_id", "n", name="uq_attempts_job_n"),
)
# Small ones: only what is under way, lost, or waited for by a hook.
UNDER_WAY = text("state IN ('submitting', 'accepted', 'answered')")
_lost = text("state = 'unknown'")
_hooked = text("hook IS NOT NULL")
Index("ix_attempts_under_way", attempts.c.account, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)
Index("ix_attempts_lost", attempts.c.id, sqlite_where=_lost, postgresql_where=_lost)
Index("ix_attempts_hook", attempts.c.hook, unique=True, sqlite_where=_hooked, postgresql_where=_hooked)

answers = Table(
    "answers",
    metadata,
    Column("attempt_id", String(48), ForeignKey("attempts.id"), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", Double, nullable=False),
    Column("message", Text),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("attempt_id", String(48), ForeignKey("attempts.id"), nullable=False),
    Column("idx", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String(8), nullable=False),
    Column("seed", BigInteger),
    Column("project", String(64), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("model", String(200), nullable=False),
    Column("file", String(80), nullable=False),
    Column("recipe", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("status", String(20), nullable=False, server_default="active"),
    UniqueConstraint("job_id", "idx", name="uq_artifacts_job_idx"),
    UniqueConstraint("project", "provider", "file", name="uq_artifacts_place"),
)

inputs = Table(
    "inputs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("attempt_id", String(48), ForeignKey("attempts.id"), nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("tenant", String(200), nullable=False, server_default="local"),
    Column("project", String(64), nullable=False, server_default="default"),
    Column("provider", String(64), nullable=False, server_default=""),
    Column("account", String(64), nullable=False, server_default=""),
    Column("ordered_at", Double, nullable=False, server_default="0"),
)
# The rest is as the clients of the programs before Limner read it; views over the journal complete it.
ROW_ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = DateTime(timezone=True)
projects = Table(
    "projects",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("slug", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("description", Text),
    Column("user_id", String(200)),
    Column("created_at", TIME, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", TIME, nullable=False, server_default=func.current_timestamp()),
    Column("deleted_at", TIME),
    UniqueConstraint("slug", name="uq_projects_slug"),
)
provider_configs = Table(
    "provider_configs",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("provider", String(50), nullable=False),
    Column("name", String(100), nullable=False),
    Column("description", Text),
    Column("base_url", String(500)),
    Column("api_key_env", String(100)),
    Column("is_enabled", Boolean, nullable=False, server_default=true()),
    Column("default_model", String(255)),
    Column("supported_formats", JSON().with_variant(postgresql.ARRAY(Text), "postgresql")),
    Column("max_width", Integer),
    Column("max_height", Integer),
    Column("max_images", Integer),
    Column("rate_limit_per_minute", Integer),
    Column("rate_limit_per_hour", Integer),
    Column("config_schema", JSON),
    Column("created_at", TIME, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", TIME, nullable=False, server_default=func.current_timestamp()),
    UniqueConstraint("provider", name="uq_provider_configs_provider"),
)
Index("ix_provider_configs_is_enabled", provider_configs.c.is_enabled)
# Each holds all that a budget's sum needs: the sum is taken while the only writer waits for it.
Index("ix_ledger_ordered", ledger.c.ordered_at, ledger.c.project, ledger.c.kind, ledger.c.micros)
Index("ix_ledger_tenant", ledger.c.tenant, ledger.c.ordered_at, ledger.c.kind, ledger.c.micros)
Index("ix_ledger_account", ledger.c.account, ledger.c.ordered_at, ledger.c.kind, ledger.c.micros)

prompt_templates = Table(
    "prompt_templates",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("negative_prompt", Text),
    Column("description", Text, nullable=False, server_default=""),
    Column("tenant", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
)

prompt_experiments = Table(
    "prompt_experiments",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("arms", Text, nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
)

prompt_trials = Table(
    "prompt_trials",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("experiment", String(64), nullable=False),
    Column("arm", String(72), nullable=False),
)
Index("ix_prompt_trials_experiment", prompt_trials.c.experiment, prompt_trials.c.arm)

prompt_verdicts = Table(
    "prompt_verdicts",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("image_id", String(36), primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("style", String(200)),
    Column("size", String(16), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("experiment", String(64)),
    Column("arm", String(72)),
    Column("at", Double, nullable=False),
)
Index("ix_prompt_verdicts_experiment", prompt_verdicts.c.experiment, prompt_verdicts.c.arm)

prompt_rewrites = Table(
    "prompt_rewrites",
    metadata,
    Column("step", String(16), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("outcome", String(8), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("characters_before", BigInteger, nullable=False),
    Column("characters_after", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("retries", BigInteger, nullable=False),
)


class clock(GenericFunction[float]):  # noqa: N801 - an SQL function is written like one
    """The database's own clock in Unix seconds: leases never depend on a worker's."""

    type = Double()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite_clock(_element: clock, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _postgres_clock(_element: clock, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return "CAST(extract(epoch from clock_timestamp()) AS DOUBLE PRECISION)"


def tables(connection: Connection) -> set[str]:
    """Names of the tables that exist."""
    return set(connection.dialect.get_table_names(connection))
