"""Money counts on the day its order was placed, whenever it was settled."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    with op.batch_alter_table("ledger") as ledger:
        ledger.add_column(sa.Column("ordered_at", sa.Double(), server_default="0", nullable=False))
    op.execute(
        "UPDATE ledger SET ordered_at = "
        "(SELECT submitted_at FROM attempts WHERE attempts.id = ledger.attempt_id)"
    )
    columns = ["ordered_at", "project", "kind", "micros"]
    op.create_index("ix_ledger_ordered", "ledger", columns, unique=False)
    for column in ("tenant", "account"):
        op.drop_index(f"ix_ledger_{column}", "ledger")
        columns = [column, "ordered_at", "kind", "micros"]
        op.create_index(f"ix_ledger_{column}", "ledger", columns, unique=False)
    op.create_index("ix_jobs_created", "jobs", ["created_at"], unique=False)
