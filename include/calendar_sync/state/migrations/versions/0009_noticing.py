"""Who notices changes, which run was asked for, and which run has a user among its tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "user_sync", sa.Column("taken_by", sa.String(255), nullable=False, server_default="")
    )
    op.add_column("user_sync", sa.Column("taken_until", TIME, nullable=True))
    op.create_table(
        "noticing",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("heartbeat_at", TIME, nullable=True),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("requests", sa.JSON(), nullable=False),
        sa.Column("asked_at", TIME, nullable=True),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("run_at", TIME, nullable=True),
        sa.Column("expected_since", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_noticing")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("noticing")
    op.drop_column("user_sync", "taken_until")
    op.drop_column("user_sync", "taken_by")
