"""Links know the event itself, not only its id in one mailbox: mailboxes are restored."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "link", sa.Column("event_uid", sa.String(length=32), nullable=False, server_default="")
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("link", "event_uid")
