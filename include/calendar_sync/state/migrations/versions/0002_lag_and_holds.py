"""Links know the version that they wrote, feeds what is new, approvals what they are for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("link") as link:
        link.add_column(
            sa.Column("version", sa.String(length=40), nullable=False, server_default="")
        )
        link.add_column(sa.Column("written_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("approval") as approval:
        approval.add_column(
            sa.Column("reason", sa.String(length=16), nullable=False, server_default="brake")
        )
    with op.batch_alter_table("feed_seen") as feed_seen:
        feed_seen.add_column(
            sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.true())
        )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("feed_seen") as feed_seen:
        feed_seen.drop_column("settled")
    with op.batch_alter_table("approval") as approval:
        approval.drop_column("reason")
    with op.batch_alter_table("link") as link:
        link.drop_column("written_at")
        link.drop_column("version")
