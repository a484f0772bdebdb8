"""The line of queued jobs: who waits for which account, since when, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_QUEUED = sa.text("state = 'queued'")
_BEGUN = sa.text("state IN ('running', 'waiting', 'storing')")


def upgrade() -> None:
    """Make the change."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("expires_at", sa.Double(), server_default="0", nullable=False))
    op.execute(
        "UPDATE jobs SET expires_at = deadline_s + coalesce("
        "(SELECT min(submitted_at) FROM attempts WHERE attempts.job_id = jobs.id), created_at)"
    )
    op.create_index(
        "ix_jobs_line",
        "jobs",
        ["tenant", sa.text("priority DESC"), "id", "account", "expires_at"],
        unique=False,
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    for name, columns, where in (
        ("ix_jobs_expiring", ["expires_at"], _QUEUED),
        ("ix_jobs_begun", ["id", "tenant"], _BEGUN),
    ):
        op.create_index(name, "jobs", columns, unique=False, sqlite_where=where, postgresql_where=where)
