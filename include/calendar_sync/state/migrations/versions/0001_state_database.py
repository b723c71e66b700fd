"""state database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "access_token",
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refresher", sa.String(length=64), nullable=True),
        sa.Column("refreshing_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_access_token")),
    )
    op.create_table(
        "approval",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("removals", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_by", sa.String(length=255), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest", "user_id", "platform", name=op.f("pk_approval")),
    )
    op.create_table(
        "audit_seal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("heads", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_seal")),
    )
    op.create_table(
        "conflict",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source_id", sa.String(length=1100), nullable=False),
        sa.Column("original_start", sa.String(length=40), nullable=False),
        sa.Column("decision", sa.String(length=32), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflict")),
        sa.UniqueConstraint(
            "user_id",
            "platform",
            "kind",
            "source_id",
            "original_start",
            name=op.f("uq_conflict_user_id_platform_kind_source_id_original_start"),
        ),
    )
    with op.batch_alter_table("conflict", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conflict_last_at"), ["last_at"], unique=False)

    op.create_table(
        "cursor",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("calendar", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("shape", sa.String(length=255), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner", "calendar", name=op.f("pk_cursor")),
    )
    op.create_table(
        "encounter_index",
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("encounter_id", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_encounter_index")),
    )
    with op.batch_alter_table("encounter_index", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_encounter_index_encounter_id"), ["encounter_id"], unique=False
        )

    op.create_table(
        "feed_seen",
        sa.Column("feed", sa.String(length=16), nullable=False),
        sa.Column("item_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feed", "item_id", name=op.f("pk_feed_seen")),
    )
    with op.batch_alter_table("feed_seen", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feed_seen_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "lease",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_lease")),
    )
    op.create_table(
        "link",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=320), nullable=False),
        sa.Column("calendar", sa.String(length=255), nullable=False),
        sa.Column("source_id", sa.String(length=1100), nullable=False),
        sa.Column("original_start", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=1100), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("remote_id", sa.String(length=1100), nullable=False),
        sa.Column("etag", sa.String(length=255), nullable=True),
        sa.Column("span", sa.String(length=64), nullable=False),
        sa.Column("wanted_hash", sa.String(length=64), nullable=False),
        sa.Column("remote_hash", sa.String(length=64), nullable=False),
        sa.Column("source_hash", sa.String(length=64), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("restores", sa.Integer(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mapping_revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint(
            "kind",
            "user_id",
            "platform",
            "account",
            "calendar",
            "source_id",
            "original_start",
            name=op.f("uq_link_kind_user_id_platform_account_calendar_source_id_original_start"),
        ),
    )
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_link_remote_id"), ["remote_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_link_source_id"), ["source_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_link_user_id_platform_state"),
            ["user_id", "platform", "state"],
            unique=False,
        )

    op.create_table(
        "operation",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("cycle_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=320), nullable=False),
        sa.Column("calendar", sa.String(length=255), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.String(length=1100), nullable=False),
        sa.Column("remote_id", sa.String(length=1100), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("mapping_revision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        sa.UniqueConstraint("cycle_id", "seq", name=op.f("uq_operation_cycle_id_seq")),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operation_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_operation_user_id_platform_at"),
            ["user_id", "platform", "at"],
            unique=False,
        )

    op.create_table(
        "parked_item",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("source_id", sa.String(length=1100), nullable=False),
        sa.Column("original_start", sa.String(length=40), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("transient", sa.Boolean(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "user_id",
            "platform",
            "step",
            "source_id",
            "original_start",
            name=op.f("pk_parked_item"),
        ),
    )
    op.create_table(
        "platform_state",
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("fault_code", sa.String(length=64), nullable=True),
        sa.Column("fault_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("platform", name=op.f("pk_platform_state")),
    )
    op.create_table(
        "rate",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("free_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate")),
    )
    op.create_table(
        "settings_revision",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("blocks_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings_revision")),
    )
    op.create_table(
        "sync_run",
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "platform", name=op.f("pk_sync_run")),
    )
    with op.batch_alter_table("sync_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_run_started_at"), ["started_at"], unique=False)

    op.create_table(
        "user_mapping",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=320), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("direction", sa.String(length=32), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "platform", name=op.f("pk_user_mapping")),
        sa.UniqueConstraint("platform", "account", name=op.f("uq_user_mapping_platform_account")),
    )
    op.create_table(
        "user_sync",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("mark_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("done_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attention", sa.Boolean(), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_poll_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("poll_error", sa.String(length=64), nullable=True),
        sa.Column("poll_failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_full_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "platform", name=op.f("pk_user_sync")),
    )
    op.create_table(
        "welkin_user",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_welkin_user")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("welkin_user")
    op.drop_table("user_sync")
    op.drop_table("user_mapping")
    with op.batch_alter_table("sync_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_run_started_at"))

    op.drop_table("sync_run")
    op.drop_table("settings_revision")
    op.drop_table("rate")
    op.drop_table("platform_state")
    op.drop_table("parked_item")
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operation_user_id_platform_at"))
        batch_op.drop_index(batch_op.f("ix_operation_at"))

    op.drop_table("operation")
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_link_user_id_platform_state"))
        batch_op.drop_index(batch_op.f("ix_link_source_id"))
        batch_op.drop_index(batch_op.f("ix_link_remote_id"))

    op.drop_table("link")
    op.drop_table("lease")
    with op.batch_alter_table("feed_seen", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feed_seen_seen_at"))

    op.drop_table("feed_seen")
    with op.batch_alter_table("encounter_index", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_encounter_index_encounter_id"))

    op.drop_table("encounter_index")
    op.drop_table("cursor")
    with op.batch_alter_table("conflict", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conflict_last_at"))

    op.drop_table("conflict")
    op.drop_table("audit_seal")
    op.drop_table("approval")
    op.drop_table("access_token")
