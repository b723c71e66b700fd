"""Channels and subscriptions of push, and how long their notices took."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "push_channel",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("calendar", sa.String(255), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("remote_id", sa.String(255), nullable=False, server_default=""),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(64), nullable=False, server_default=""),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("next_at", moment),
        sa.Column("told", sa.String(32), nullable=False, server_default=""),
        sa.Column("notices", KEY, nullable=False, server_default="0"),
        sa.Column("answered", KEY, nullable=False, server_default="0"),
        sa.Column("wanted_since", moment),
        sa.Column("delivered_at", moment),
        sa.Column("asked_at", moment),
        sa.Column("own_write", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("untold_at", moment),
        sa.Column("missed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("doubts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("id", name="pk_push_channel"),
    )
    op.create_index("ix_push_channel_platform_user_id", "push_channel", ["platform", "user_id"])
    op.create_table(
        "push_delay",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_push_delay"),
    )
    op.create_index("ix_push_delay_platform_at", "push_delay", ["platform", "at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("push_delay")
    op.drop_table("push_channel")
