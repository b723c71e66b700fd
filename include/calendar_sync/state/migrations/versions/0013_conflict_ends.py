"""When a conflict is over by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("conflict", sa.Column("ends_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Take back."""
    op.drop_column("conflict", "ends_at")
