"""An index for what `calendar-sync explain` asks: which link is about this id?"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_link_event_id"), "link", ["event_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_link_event_id"), "link")
