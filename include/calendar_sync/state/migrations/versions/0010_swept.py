"""What sweeps have seen of the calendars' busy times."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "swept",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("calendar", sa.String(255), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changes", KEY, nullable=False),
        sa.Column("polled", KEY, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "calendar", "part", name=op.f("pk_swept")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("swept")
