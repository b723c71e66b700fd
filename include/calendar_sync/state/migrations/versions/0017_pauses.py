"""Users whose sync is paused for some days."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "user_pause",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("checked", sa.String(400), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("user_id", "platform", name=op.f("pk_user_pause")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("user_pause")
