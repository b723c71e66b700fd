"""Indexes for what the pages ask of the record of operations, which only ever grows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FAILED = sa.text("outcome <> 'ok' AND outcome <> 'recorded'")


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_operation_step_id"), "operation", ["step", "id"])
    op.create_index(op.f("ix_operation_run_id_id"), "operation", ["run_id", "id"])
    op.create_index(
        "ix_operation_failed", "operation", ["id"], sqlite_where=FAILED, postgresql_where=FAILED
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_operation_failed", "operation")
    op.drop_index(op.f("ix_operation_run_id_id"), "operation")
    op.drop_index(op.f("ix_operation_step_id"), "operation")
