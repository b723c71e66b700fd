"""The tables of the state database. Nothing here ever holds patient data or event text.

Ids are those of Welkin and of the calendars; accounts are staff e-mail addresses. Times of links
are kept because windows, retirement and pairing need them.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)
_Key = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC instants in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive values: a missing zone is a bug, not a default."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Back to aware UTC."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _short(length: int = 64) -> String:
    return String(length)


settings_revision = Table(
    "settings_revision",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("author", _short(255), nullable=False),
    Column("document", JSON, nullable=False),
    Column("blocks_hash", _short(), nullable=False),
)

user_mapping = Table(
    "user_mapping",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("account", _short(320), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("direction", _short(32)),
    Column("profile", _short(), nullable=False, default="", server_default=""),
    # Ids of calendars, which contain no spaces, separated by spaces.
    Column("busy_calendars", Text, nullable=False, default="", server_default=""),
    Column("mirrors_calendar", _short(255), nullable=False, default="", server_default=""),
    Column("revision", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", _short(255), nullable=False),
    UniqueConstraint("platform", "account"),
)

own_calendar = Table(
    "own_calendar",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("account", _short(320), primary_key=True),
    # Empty while it is not known whether it was made.
    Column("calendar", _short(255), nullable=False, default="", server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
)

# Rows of the mapping that a rule has made, as the rule wrote them last.
mapping_rule_row = Table(
    "mapping_rule_row",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("rule", _short(), nullable=False),
    Column("account", _short(320), nullable=False),
    Column("profile", _short(), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

welkin_user = Table(
    "welkin_user",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("email", _short(320), nullable=False),
    Column("time_zone", _short()),
    Column("active", Boolean, nullable=False),
    Column("inactive_because", _short(32), nullable=False, default="", server_default=""),
    Column("inactive_since", UtcDateTime),
    Column("seen_at", UtcDateTime, nullable=False),
)

mapping_change = Table(
    "mapping_change",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("revision", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("author", _short(255), nullable=False),
    Column("user_id", _short(), nullable=False),
    Column("platform", _short(16), nullable=False),
    # The row as it was and as it became; empty where there was none.
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Index(None, "user_id"),
    Index(None, "revision"),
)

user_sync = Table(
    "user_sync",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("mark_seq", _Key, nullable=False, default=0),
    Column("done_seq", _Key, nullable=False, default=0),
    Column("marked_at", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("failures", Integer, nullable=False, default=0),
    Column("error_code", _short()),
    Column("failing_since", UtcDateTime),
    Column("attention", Boolean, nullable=False, default=False),
    Column("last_success_at", UtcDateTime),
    Column("last_poll_at", UtcDateTime),
    Column("poll_error", _short()),
    Column("poll_failed_at", UtcDateTime),
    Column("next_full_at", UtcDateTime),
    # "asked" for a requested full comparison, "daily" for the daily one.
    Column("full_because", _short(16), nullable=False, default="", server_default=""),
    Column("compared_at", UtcDateTime),
    # The run that has this user among its tasks, and until when another may not have him.
    Column("taken_by", _short(255), nullable=False, default="", server_default=""),
    Column("taken_until", UtcDateTime),
)

drift = Table(
    "drift",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("user_id", _short(), nullable=False),
    Column("platform", _short(16), nullable=False),
    # How many writes the day's comparison had to make, by step and reason.
    Column("writes", JSON, nullable=False),
    Index(None, "at"),
)

verdict = Table(
    "verdict",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("account", _short(320), nullable=False),
    Column("verdict", _short(32), nullable=False),
    Column("code", _short(), nullable=False, default=""),
    Column("since", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
)

report = Table(
    "report",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("run_id", _short(255), nullable=False),
    Column("attention", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("html", Text, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("not_sent_because", _short(255), nullable=False, default=""),
)

cursor = Table(
    "cursor",
    metadata,
    Column("scope", _short(16), primary_key=True),
    Column("owner", _short(), primary_key=True),
    Column("calendar", _short(255), primary_key=True),
    Column("position", Text, nullable=False),
    Column("shape", _short(255), nullable=False),
    Column("window_end", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

feed_seen = Table(
    "feed_seen",
    metadata,
    Column("feed", _short(16), primary_key=True),
    Column("item_id", _short(255), primary_key=True),
    Column("updated_at", _short(), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("settled", Boolean, nullable=False, default=True, server_default=true()),
    Index(None, "seen_at"),
)

encounter_index = Table(
    "encounter_index",
    metadata,
    Column("event_id", _short(), primary_key=True),
    Column("encounter_id", _short(), nullable=False, index=True),
    Column("template", _short(255)),
    Column("status", _short(32), nullable=False),
)

# Mirror links and block links (`kind`). `source_id` and `original_start` are the appointment or the
# external event, `remote_id` and `creation_key` the mirror or block. `source_hash`, `etag` and
# `level` are of mirrors only, `event_id` and `event_uid` of blocks only; see `links.py`.
link = Table(
    "link",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("kind", _short(8), nullable=False),
    Column("user_id", _short(), nullable=False),
    Column("platform", _short(16), nullable=False),
    Column("account", _short(320), nullable=False),
    Column("calendar", _short(255), nullable=False),
    Column("source_id", _short(1100), nullable=False),
    Column("original_start", _short(40), nullable=False, default=""),
    Column("event_id", _short(1100), nullable=False, default=""),
    Column("event_uid", _short(32), nullable=False, default="", server_default=""),
    Column("generation", Integer, nullable=False),
    Column("state", _short(12), nullable=False),
    Column("remote_id", _short(1100), nullable=False),
    Column("creation_key", _short(), nullable=False, default="", server_default=""),
    Column("etag", _short(255)),
    Column("span", _short(64), nullable=False),
    Column("wanted_hash", _short(), nullable=False, default=""),
    Column("remote_hash", _short(), nullable=False, default=""),
    Column("source_hash", _short(), nullable=False, default=""),
    Column("level", _short(16), nullable=False, default="busy/busy"),
    Column("colour", _short(), nullable=False, default="", server_default=""),
    Column("restores", Integer, nullable=False, default=0),
    Column("restored_at", UtcDateTime),
    Column("version", _short(40), nullable=False, default="", server_default=""),
    Column("written_at", UtcDateTime),
    Column("mapping_revision", Integer, nullable=False, default=0),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint(
        "kind", "user_id", "platform", "account", "calendar", "source_id", "original_start"
    ),
    Index(None, "user_id", "platform", "state"),
    Index(None, "source_id"),
    Index(None, "event_id"),
    Index(None, "remote_id"),
)

# Failed operations, which are few: activity.py uses the same condition.
_FAILED = text("outcome <> 'ok' AND outcome <> 'recorded'")
operation = Table(
    "operation",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("cycle_id", _short(40), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", _short(255), nullable=False),
    Column("user_id", _short(), nullable=False),
    Column("platform", _short(16), nullable=False),
    Column("account", _short(320), nullable=False),
    Column("calendar", _short(255), nullable=False),
    Column("step", _short(16), nullable=False),
    Column("reason", _short(), nullable=False),
    Column("source_id", _short(1100), nullable=False),
    Column("remote_id", _short(1100), nullable=False),
    Column("level", _short(16), nullable=False),
    Column("mapping_revision", Integer, nullable=False),
    Column("outcome", _short(), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("hash", _short(), nullable=False),
    UniqueConstraint("cycle_id", "seq"),
    Index(None, "at"),
    Index(None, "user_id", "platform", "at"),
    Index(None, "step", "id"),
    Index(None, "run_id", "id"),
    Index("ix_operation_failed", "id", sqlite_where=_FAILED, postgresql_where=_FAILED),
)

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", _short(255), nullable=False),
    Column("heads", JSON, nullable=False),
    Column("seal", _short(), nullable=False),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("user_id", _short(), nullable=False),
    Column("platform", _short(16), nullable=False),
    Column("kind", _short(32), nullable=False),
    Column("source_id", _short(1100), nullable=False),
    Column("original_start", _short(40), nullable=False, default=""),
    Column("decision", _short(32), nullable=False),
    Column("times", Integer, nullable=False, default=1),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("dismissed_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    UniqueConstraint("user_id", "platform", "kind", "source_id", "original_start"),
    Index(None, "last_at"),
)

parked_item = Table(
    "parked_item",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("step", _short(16), primary_key=True),
    Column("source_id", _short(1100), primary_key=True),
    Column("original_start", _short(40), primary_key=True),
    Column("content", _short(), nullable=False),
    Column("code", _short(), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("transient", Boolean, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

sync_run = Table(
    "sync_run",
    metadata,
    Column("run_id", _short(255), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("users", Integer, nullable=False, default=0),
    Column("failed", Integer, nullable=False, default=0),
    Column("summary", JSON, nullable=False),
    Index(None, "started_at"),
)

approval = Table(
    "approval",
    metadata,
    Column("digest", _short(), primary_key=True),
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("reason", _short(16), nullable=False, default="brake", server_default="brake"),
    Column("removals", Integer, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("granted_at", UtcDateTime),
    Column("granted_by", _short(255)),
    Column("expires_at", UtcDateTime),
    # How many of which step, and when the first and the last of their times is; see `runs.about`.
    Column("details", JSON),
    # "Keep for now": not asked again for a day.
    Column("declined_at", UtcDateTime),
)

lease = Table(
    "lease",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("owner", _short(255), nullable=False),
    Column("fence", _Key, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("name", _short(400), primary_key=True),
    Column("ciphertext", LargeBinary),
    Column("expires_at", UtcDateTime),
    Column("refresher", _short()),
    Column("refreshing_until", UtcDateTime),
)

rate = Table(
    "rate",
    metadata,
    Column("name", _short(), primary_key=True),
    Column("free_at", Float, nullable=False),
)

# What a sweep last saw of a calendar: a keyed hash of its busy times from `day` on. Part 0 are the
# next weeks, the others what comes after. See sync/noticing/sweeps.py.
swept = Table(
    "swept",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("calendar", _short(255), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("account", _short(320), nullable=False),
    Column("hash", _short(), nullable=False),
    Column("day", Date, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # As with marks: the number of changes seen, and how many of them a poll has looked into.
    Column("changes", _Key, nullable=False, default=0),
    Column("polled", _Key, nullable=False, default=0),
)

# Who notices changes, by what is looked at: "welkin", "google", "microsoft". See state/noticing.py.
noticing = Table(
    "noticing",
    metadata,
    Column("name", _short(16), primary_key=True),
    Column("owner", _short(255), nullable=False, default=""),
    Column("expires_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("error_code", _short()),
    Column("requests", JSON, nullable=False, default=dict),
    Column("asked_at", UtcDateTime),
    Column("asks", Integer, nullable=False, default=0),
    Column("run_at", UtcDateTime),
    Column("expected_since", UtcDateTime),
)

platform_state = Table(
    "platform_state",
    metadata,
    Column("platform", _short(16), primary_key=True),
    Column("fault_code", _short()),
    Column("fault_since", UtcDateTime),
    Column("facts", JSON, nullable=False),
)

push_channel = Table(
    "push_channel",
    metadata,
    # Ours: what comes back with each notice. The secret is made of it, and stored nowhere.
    Column("id", _short(), primary_key=True),
    Column("platform", _short(16), nullable=False),
    Column("user_id", _short(), nullable=False),
    Column("account", _short(320), nullable=False),
    Column("calendar", _short(255), nullable=False),
    Column("address", _short(255), nullable=False),
    # The resource's id (Google) or the subscription's (Microsoft).
    Column("remote_id", _short(255), nullable=False, default="", server_default=""),
    Column("state", _short(16), nullable=False),
    Column("code", _short(), nullable=False, default="", server_default=""),
    Column("tries", Integer, nullable=False, default=0, server_default="0"),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # When it is to be renewed, tried or stopped again.
    Column("next_at", UtcDateTime),
    # What a lifecycle message said last.
    Column("told", _short(32), nullable=False, default="", server_default=""),
    # As with marks: a poll notes the count at its start, and has answered so many.
    Column("notices", _Key, nullable=False, default=0, server_default="0"),
    Column("answered", _Key, nullable=False, default=0, server_default="0"),
    Column("wanted_since", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Column("asked_at", UtcDateTime),
    # The sync wrote there: the notice of that is no reason to poll later for the next one.
    Column("own_write", Boolean, nullable=False, default=False, server_default=false()),
    # A poll found what no notice had told; it may still come.
    Column("untold_at", UtcDateTime),
    Column("missed", Integer, nullable=False, default=0, server_default="0"),
    Column("doubts", Integer, nullable=False, default=0, server_default="0"),
    Column("trusted", Boolean, nullable=False, default=True, server_default=true()),
    Index(None, "platform", "user_id"),
)

push_delay = Table(
    "push_delay",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("platform", _short(16), nullable=False),
    # When the notice came, and how long after the change it told of.
    Column("at", UtcDateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Index(None, "platform", "at"),
)

# A row for each platform, whether the user is mapped there or not.
user_pause = Table(
    "user_pause",
    metadata,
    Column("user_id", _short(), primary_key=True),
    Column("platform", _short(16), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("author", _short(255), nullable=False),
    # It is over, and the user was marked for a full comparison.
    Column("closed", Boolean, nullable=False, default=False, server_default=false()),
    # The detail level and mailbox for which nothing must be put right meanwhile.
    Column("checked", _short(400), nullable=False, default="", server_default=""),
)
