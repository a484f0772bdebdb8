"""Prompts: templates, what each user keeps, and how rewriting went."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
