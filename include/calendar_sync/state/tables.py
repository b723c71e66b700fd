"""The tables of the state database. Nothing here ever holds patient data or event text.

Ids are those of Welkin and of the calendars; accounts are staff e-mail addresses. Times of links
are kept because windows, retirement and pairing need them.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from calendar_sync.state.columns import KEY, UtcDateTime, short
from calendar_sync.state.columns import metadata as metadata

settings_revision = Table(
    "settings_revision",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("author", short(255), nullable=False),
    Column("document", JSON, nullable=False),
    Column("blocks_hash", short(), nullable=False),
)

user_mapping = Table(
    "user_mapping",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("account", short(320), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("direction", short(32)),
    Column("profile", short(), nullable=False, default="", server_default=""),
    # Ids of calendars, which contain no spaces, separated by spaces.
    Column("busy_calendars", Text, nullable=False, default="", server_default=""),
    Column("mirrors_calendar", short(255), nullable=False, default="", server_default=""),
    Column("revision", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", short(255), nullable=False),
    UniqueConstraint("platform", "account"),
)

own_calendar = Table(
    "own_calendar",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("account", short(320), primary_key=True),
    # Empty while it is not known whether it was made.
    Column("calendar", short(255), nullable=False, default="", server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
)

# Rows of the mapping that a rule has made, as the rule wrote them last.
mapping_rule_row = Table(
    "mapping_rule_row",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("rule", short(), nullable=False),
    Column("account", short(320), nullable=False),
    Column("profile", short(), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

welkin_user = Table(
    "welkin_user",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("email", short(320), nullable=False),
    Column("time_zone", short()),
    Column("active", Boolean, nullable=False),
    Column("inactive_because", short(32), nullable=False, default="", server_default=""),
    Column("inactive_since", UtcDateTime),
    Column("seen_at", UtcDateTime, nullable=False),
)

mapping_change = Table(
    "mapping_change",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("revision", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("author", short(255), nullable=False),
    Column("user_id", short(), nullable=False),
    Column("platform", short(16), nullable=False),
    # The row as it was and as it became; empty where there was none.
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Index(None, "user_id"),
    Index(None, "revision"),
)

user_sync = Table(
    "user_sync",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("mark_seq", KEY, nullable=False, default=0),
    Column("done_seq", KEY, nullable=False, default=0),
    Column("marked_at", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("failures", Integer, nullable=False, default=0),
    Column("error_code", short()),
    Column("failing_since", UtcDateTime),
    Column("attention", Boolean, nullable=False, default=False),
    Column("last_success_at", UtcDateTime),
    Column("last_poll_at", UtcDateTime),
    Column("poll_error", short()),
    Column("poll_failed_at", UtcDateTime),
    Column("next_full_at", UtcDateTime),
    # "asked" for a requested full comparison, "daily" for the daily one.
    Column("full_because", short(16), nullable=False, default="", server_default=""),
    Column("compared_at", UtcDateTime),
    # The run that has this user among its tasks, and until when another may not have him.
    Column("taken_by", short(255), nullable=False, default="", server_default=""),
    Column("taken_until", UtcDateTime),
)

drift = Table(
    "drift",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("user_id", short(), nullable=False),
    Column("platform", short(16), nullable=False),
    # How many writes the day's comparison had to make, by step and reason.
    Column("writes", JSON, nullable=False),
    Index(None, "at"),
)

verdict = Table(
    "verdict",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("account", short(320), nullable=False),
    Column("verdict", short(32), nullable=False),
    Column("code", short(), nullable=False, default=""),
    Column("since", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
)

report = Table(
    "report",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("run_id", short(255), nullable=False),
    Column("attention", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("html", Text, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("not_sent_because", short(255), nullable=False, default=""),
)

cursor = Table(
    "cursor",
    metadata,
    Column("scope", short(16), primary_key=True),
    Column("owner", short(), primary_key=True),
    Column("calendar", short(255), primary_key=True),
    Column("position", Text, nullable=False),
    Column("shape", short(255), nullable=False),
    Column("window_end", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

feed_seen = Table(
    "feed_seen",
    metadata,
    Column("feed", short(16), primary_key=True),
    Column("item_id", short(255), primary_key=True),
    Column("updated_at", short(), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("settled", Boolean, nullable=False, default=True, server_default=true()),
    Index(None, "seen_at"),
)

encounter_index = Table(
    "encounter_index",
    metadata,
    Column("event_id", short(), primary_key=True),
    Column("encounter_id", short(), nullable=False, index=True),
    Column("template", short(255)),
    Column("status", short(32), nullable=False),
)

# Mirror links and block links (`kind`). `source_id` and `original_start` are the appointment or the
# external event, `remote_id` and `creation_key` the mirror or block. `source_hash`, `etag` and
# `level` are of mirrors only, `event_id` and `event_uid` of blocks only; see `links.py`.
link = Table(
    "link",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("kind", short(8), nullable=False),
    Column("user_id", short(), nullable=False),
    Column("platform", short(16), nullable=False),
    Column("account", short(320), nullable=False),
    Column("calendar", short(255), nullable=False),
    Column("source_id", short(1100), nullable=False),
    Column("original_start", short(40), nullable=False, default=""),
    Column("event_id", short(1100), nullable=False, default=""),
    Column("event_uid", short(32), nullable=False, default="", server_default=""),
    Column("generation", Integer, nullable=False),
    Column("state", short(12), nullable=False),
    Column("remote_id", short(1100), nullable=False),
    Column("creation_key", short(), nullable=False, default="", server_default=""),
    Column("etag", short(255)),
    Column("span", short(64), nullable=False),
    Column("wanted_hash", short(), nullable=False, default=""),
    Column("remote_hash", short(), nullable=False, default=""),
    Column("source_hash", short(), nullable=False, default=""),
    Column("level", short(16), nullable=False, default="busy/busy"),
    Column("colour", short(), nullable=False, default="", server_default=""),
    # What the mirror has around the appointment.
    Column("before_minutes", Integer, nullable=False, default=0, server_default="0"),
    Column("after_minutes", Integer, nullable=False, default=0, server_default="0"),
    Column("restores", Integer, nullable=False, default=0),
    Column("restored_at", UtcDateTime),
    Column("version", short(40), nullable=False, default="", server_default=""),
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
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("cycle_id", short(40), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", short(255), nullable=False),
    Column("user_id", short(), nullable=False),
    Column("platform", short(16), nullable=False),
    Column("account", short(320), nullable=False),
    Column("calendar", short(255), nullable=False),
    Column("step", short(16), nullable=False),
    Column("reason", short(), nullable=False),
    Column("source_id", short(1100), nullable=False),
    Column("remote_id", short(1100), nullable=False),
    Column("level", short(16), nullable=False),
    Column("mapping_revision", Integer, nullable=False),
    Column("outcome", short(), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("hash", short(), nullable=False),
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
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("run_id", short(255), nullable=False),
    Column("heads", JSON, nullable=False),
    Column("seal", short(), nullable=False),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("user_id", short(), nullable=False),
    Column("platform", short(16), nullable=False),
    Column("kind", short(32), nullable=False),
    Column("source_id", short(1100), nullable=False),
    Column("original_start", short(40), nullable=False, default=""),
    Column("decision", short(32), nullable=False),
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
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("step", short(16), primary_key=True),
    Column("source_id", short(1100), primary_key=True),
    Column("original_start", short(40), primary_key=True),
    Column("content", short(), nullable=False),
    Column("code", short(), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("transient", Boolean, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

sync_run = Table(
    "sync_run",
    metadata,
    Column("run_id", short(255), primary_key=True),
    Column("platform", short(16), primary_key=True),
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
    Column("digest", short(), primary_key=True),
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("reason", short(16), nullable=False, default="brake", server_default="brake"),
    Column("removals", Integer, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("granted_at", UtcDateTime),
    Column("granted_by", short(255)),
    Column("expires_at", UtcDateTime),
    # How many of which step, and when the first and the last of their times is; see `runs.about`.
    Column("details", JSON),
    # "Keep for now": not asked again for a day.
    Column("declined_at", UtcDateTime),
)

lease = Table(
    "lease",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("owner", short(255), nullable=False),
    Column("fence", KEY, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("name", short(400), primary_key=True),
    Column("ciphertext", LargeBinary),
    Column("expires_at", UtcDateTime),
    Column("refresher", short()),
    Column("refreshing_until", UtcDateTime),
)

rate = Table(
    "rate",
    metadata,
    Column("name", short(), primary_key=True),
    Column("free_at", Float, nullable=False),
)

# What a sweep last saw of a calendar: a keyed hash of its busy times from `day` on. Part 0 are the
# next weeks, the others what comes after. See sync/noticing/sweeps.py.
swept = Table(
    "swept",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("calendar", short(255), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("account", short(320), nullable=False),
    Column("hash", short(), nullable=False),
    Column("day", Date, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # As with marks: the number of changes seen, and how many of them a poll has looked into.
    Column("changes", KEY, nullable=False, default=0),
    Column("polled", KEY, nullable=False, default=0),
)

# Who notices changes, by what is looked at: "welkin", "google", "microsoft". See state/noticing.py.
noticing = Table(
    "noticing",
    metadata,
    Column("name", short(16), primary_key=True),
    Column("owner", short(255), nullable=False, default=""),
    Column("expires_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("error_code", short()),
    Column("requests", JSON, nullable=False, default=dict),
    Column("asked_at", UtcDateTime),
    Column("asks", Integer, nullable=False, default=0),
    Column("run_at", UtcDateTime),
    Column("expected_since", UtcDateTime),
)

platform_state = Table(
    "platform_state",
    metadata,
    Column("platform", short(16), primary_key=True),
    Column("fault_code", short()),
    Column("fault_since", UtcDateTime),
    Column("facts", JSON, nullable=False),
)

push_channel = Table(
    "push_channel",
    metadata,
    # Ours: what comes back with each notice. The secret is made of it, and stored nowhere.
    Column("id", short(), primary_key=True),
    Column("platform", short(16), nullable=False),
    Column("user_id", short(), nullable=False),
    Column("account", short(320), nullable=False),
    Column("calendar", short(255), nullable=False),
    Column("address", short(255), nullable=False),
    # The resource's id (Google) or the subscription's (Microsoft).
    Column("remote_id", short(255), nullable=False, default="", server_default=""),
    Column("state", short(16), nullable=False),
    Column("code", short(), nullable=False, default="", server_default=""),
    Column("tries", Integer, nullable=False, default=0, server_default="0"),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # When it is to be renewed, tried or stopped again.
    Column("next_at", UtcDateTime),
    # What a lifecycle message said last.
    Column("told", short(32), nullable=False, default="", server_default=""),
    # As with marks: a poll notes the count at its start, and has answered so many.
    Column("notices", KEY, nullable=False, default=0, server_default="0"),
    Column("answered", KEY, nullable=False, default=0, server_default="0"),
    Column("wanted_since", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Column("asked_at", UtcDateTime),
    # Besides one a minute: for notices of what the sync wrote itself, and after right ones.
    Column("further_polls", Integer, nullable=False, default=0, server_default="0"),
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
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("platform", short(16), nullable=False),
    # When the notice came, and how long after the change it told of.
    Column("at", UtcDateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Index(None, "platform", "at"),
)

# What people have chosen for themselves; empty for what the settings say.
user_choice = Table(
    "user_choice",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("level", short(16), nullable=False, default="", server_default=""),
    Column("reminder", short(16), nullable=False, default="", server_default=""),
    Column("colour", short(), nullable=False, default="", server_default=""),
    Column("category", short(), nullable=False, default="", server_default=""),
    Column("at", UtcDateTime, nullable=False),
)

# A row for each platform, whether the user is mapped there or not.
user_pause = Table(
    "user_pause",
    metadata,
    Column("user_id", short(), primary_key=True),
    Column("platform", short(16), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("author", short(255), nullable=False),
    # It is over, and the user was marked for a full comparison.
    Column("closed", Boolean, nullable=False, default=False, server_default=false()),
    # The detail level and mailbox for which nothing must be put right meanwhile.
    Column("checked", short(400), nullable=False, default="", server_default=""),
)
