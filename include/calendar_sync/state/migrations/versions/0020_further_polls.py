"""Channels count the polls that notices may cause besides one a minute."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; it begins at none: the next notice waits for a minute at most."""
    count = sa.Column("further_polls", sa.Integer(), nullable=False, server_default="0")
    with op.batch_alter_table("push_channel") as table:
        table.add_column(count)
        table.drop_column("own_write")


def downgrade() -> None:
    """Take back."""
    flag: sa.Column[bool] = sa.Column(
        "own_write", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    with op.batch_alter_table("push_channel") as table:
        table.add_column(flag)
        table.drop_column("further_polls")
