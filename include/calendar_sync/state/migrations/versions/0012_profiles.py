"""Which profile and which calendars of their own the users of the mapping have; empty for none."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = {
    "profile": sa.String(64),
    "busy_calendars": sa.Text(),
    "mirrors_calendar": sa.String(255),
}


def upgrade() -> None:
    """Apply."""
    for name, kind in COLUMNS.items():
        op.add_column("user_mapping", sa.Column(name, kind, nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    for name in reversed(COLUMNS):
        op.drop_column("user_mapping", name)
