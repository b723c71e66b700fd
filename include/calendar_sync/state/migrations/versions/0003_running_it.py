"""History of the mapping, verdicts on accounts, drift, reports; why a Welkin user is inactive."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("welkin_user") as welkin_user:
        welkin_user.add_column(
            sa.Column("inactive_because", sa.String(32), nullable=False, server_default="")
        )
        welkin_user.add_column(sa.Column("inactive_since", TIME, nullable=True))
    with op.batch_alter_table("user_sync") as user_sync:
        user_sync.add_column(
            sa.Column("full_because", sa.String(16), nullable=False, server_default="")
        )
        user_sync.add_column(sa.Column("compared_at", TIME, nullable=True))
    op.create_table(
        "mapping_change",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping_change")),
    )
    op.create_index(op.f("ix_mapping_change_user_id"), "mapping_change", ["user_id"])
    op.create_index(op.f("ix_mapping_change_revision"), "mapping_change", ["revision"])
    op.create_table(
        "drift",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("writes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift")),
    )
    op.create_index(op.f("ix_drift_at"), "drift", ["at"])
    op.create_table(
        "verdict",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(16), nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("checked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "platform", name=op.f("pk_verdict")),
    )
    op.create_table(
        "report",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("attention", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.Column("not_sent_because", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index(op.f("ix_report_at"), "report", ["at"])


def downgrade() -> None:
    """Take back."""
    for name in ("report", "verdict", "drift", "mapping_change"):
        op.drop_table(name)
    with op.batch_alter_table("user_sync") as user_sync:
        user_sync.drop_column("compared_at")
        user_sync.drop_column("full_because")
    with op.batch_alter_table("welkin_user") as welkin_user:
        welkin_user.drop_column("inactive_since")
        welkin_user.drop_column("inactive_because")
