"""Prompts: templates, what each user keeps, and how rewriting went."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "prompt_templates",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_prompt_templates")),
    )
    op.create_table(
        "prompt_experiments",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("arms", sa.Text(), nullable=False),
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_prompt_experiments")),
    )
    op.create_table(
        "prompt_trials",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=72), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_prompt_trials")),
    )
    op.create_table(
        "prompt_verdicts",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("style", sa.String(length=200), nullable=True),
        sa.Column("size", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=True),
        sa.Column("arm", sa.String(length=72), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "image_id", name=op.f("pk_prompt_verdicts")),
    )
    op.create_table(
        "prompt_rewrites",
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("characters_before", sa.BigInteger(), nullable=False),
        sa.Column("characters_after", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("step", "model", "outcome", name=op.f("pk_prompt_rewrites")),
    )
    for table in ("prompt_trials", "prompt_verdicts"):
        op.create_index(f"ix_{table}_experiment", table, ["experiment", "arm"], unique=False)
