"""Which rows of the user mapping a mapping rule has made, as the rule wrote them last."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mapping_rule_row",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "platform", name="pk_mapping_rule_row"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("mapping_rule_row")
