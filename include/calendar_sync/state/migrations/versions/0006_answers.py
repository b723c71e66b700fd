"""Approvals say what they are about, and keep a "no" as they keep a "yes"."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("approval", sa.Column("details", sa.JSON(), nullable=True))
    op.add_column("approval", sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("approval") as table:
        table.drop_column("declined_at")
        table.drop_column("details")
