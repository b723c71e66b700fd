"""What people have chosen for themselves, where their settings let them."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "user_choice",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("level", sa.String(16), nullable=False, server_default=""),
        sa.Column("reminder", sa.String(16), nullable=False, server_default=""),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_choice")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("user_choice")
