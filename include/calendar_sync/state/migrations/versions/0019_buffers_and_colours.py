"""Links know what their mirror has around the appointment; people may choose a colour."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_MINUTES = ("before_minutes", "after_minutes")
_CHOSEN = ("colour", "category")


def upgrade() -> None:
    """Apply."""
    for name in _MINUTES:
        op.add_column("link", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name in _CHOSEN:
        column = sa.Column(name, sa.String(64), nullable=False, server_default="")
        op.add_column("user_choice", column)


def downgrade() -> None:
    """Take back."""
    for name in reversed(_CHOSEN):
        op.drop_column("user_choice", name)
    for name in reversed(_MINUTES):
        op.drop_column("link", name)
