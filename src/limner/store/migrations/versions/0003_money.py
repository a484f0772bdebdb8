"""Who pays, what was agreed, and what a person has to decide."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("images", sa.Integer(), server_default="1", nullable=False))
        jobs.add_column(sa.Column("account", sa.String(length=64), nullable=True))
        jobs.add_column(sa.Column("ceiling", sa.BigInteger(), nullable=True))
        jobs.add_column(sa.Column("confirmation", sa.Text(), nullable=True))
    op.create_index("ix_jobs_tenant", "jobs", ["tenant", "created_at"], unique=False)
    with op.batch_alter_table("attempts") as attempts:
        attempts.add_column(sa.Column("hook", sa.String(length=64), nullable=True))
        attempts.add_column(sa.Column("decided", sa.Text(), nullable=True))
    for name, column, where, unique in (
        ("ix_attempts_under_way", "account", "state IN ('submitting', 'accepted', 'answered')", False),
        ("ix_attempts_lost", "id", "state = 'unknown'", False),
        ("ix_attempts_hook", "hook", "hook IS NOT NULL", True),
    ):
        op.create_index(
            name,
            "attempts",
            [column],
            unique=unique,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    with op.batch_alter_table("ledger") as ledger:
        ledger.add_column(sa.Column("tenant", sa.String(length=200), server_default="local", nullable=False))
        ledger.add_column(
            sa.Column("project", sa.String(length=64), server_default="default", nullable=False)
        )
        ledger.add_column(sa.Column("provider", sa.String(length=64), server_default="", nullable=False))
        ledger.add_column(sa.Column("account", sa.String(length=64), server_default="", nullable=False))
    op.execute(
        "UPDATE ledger SET "
        "tenant = (SELECT tenant FROM jobs WHERE jobs.id = ledger.job_id), "
        "project = (SELECT project FROM jobs WHERE jobs.id = ledger.job_id), "
        "provider = (SELECT provider FROM attempts WHERE attempts.id = ledger.attempt_id), "
        "account = (SELECT account FROM attempts WHERE attempts.id = ledger.attempt_id)"
    )
    op.create_index("ix_ledger_tenant", "ledger", ["tenant", "at"], unique=False)
    op.create_index("ix_ledger_account", "ledger", ["account", "at"], unique=False)
