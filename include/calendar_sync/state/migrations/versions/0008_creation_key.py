"""What a creation was sent under has a column of its own: an id of the other side is nothing else.

Of an interrupted creation `remote_id` held the key. Google's ids are such keys: they stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "link", sa.Column("creation_key", sa.String(64), nullable=False, server_default="")
    )
    op.execute("UPDATE link SET creation_key = remote_id WHERE state = 'intent'")
    op.execute(
        "UPDATE link SET remote_id = '' WHERE state = 'intent' AND (kind = 'block' OR platform = "
        "'microsoft')"
    )


def downgrade() -> None:
    """Take back."""
    op.execute("UPDATE link SET remote_id = creation_key WHERE state = 'intent'")
    op.drop_column("link", "creation_key")
