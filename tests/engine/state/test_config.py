"""Settings, staff, runs, approvals, feeds."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update

from calendar_sync.config.differences import differences
from calendar_sync.config.renames import with_old_names
from calendar_sync.config.settings import parse
from calendar_sync.core.codes import code_of
from calendar_sync.core.model import (
    BlockLink,
    DeleteBlock,
    Encounter,
    Hold,
    Platform,
    Source,
    Span,
    WelkinUser,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.config import blocks_hash
from calendar_sync.state.feeds import Cursor, Seen
from calendar_sync.state.marks import Pair
from tests.engine.state.conftest import NOW

G = Platform.GOOGLE
HOUR = timedelta(hours=1)


def test_settings_are_revisions(store: Store) -> None:
    assert store.config.revision().id == 0
    document = {"time_zone": "Europe/Berlin", "encounter_types": {"include": ["etmp-*"]}}
    number, new = store.config.save_settings(parse(document), "dana", NOW)
    assert new
    assert store.config.save_settings(parse(document), "ruben", NOW) == (number, False)
    found = store.config.revision()
    assert (found.id, found.author, found.created_at) == (number, "dana", NOW)
    assert found.settings == parse(document)
    assert store.config.save_settings(parse({}), "ruben", NOW) == (number + 1, True)


def test_a_cursor_outlives_changes_of_limits_only() -> None:
    base = blocks_hash(parse({}))
    assert (
        blocks_hash(parse({"limits": {"user_concurrency": 2}, "polling": {"interval_seconds": 90}}))
        == base
    )
    for change in ({"block_time": {"tentative": True}}, {"time_zone": "Asia/Tokyo"}):
        assert blocks_hash(parse(change)) != base


def test_a_revision_with_old_names_reads_as_if_it_had_the_new_ones(store: Store) -> None:
    wanted = parse({"polling": {"interval_seconds": 90}, "block_time": {"duplicates": "block"}})
    store.config.save_settings(wanted, "dana", NOW)
    with store.config._database.write() as connection:
        row = connection.execute(select(t.settings_revision)).one()
        old = with_old_names(row.document)
        assert (old["poll"]["interval_seconds"], old["block_time"]["twins"]) == (90, "block")
        assert not old.keys() & {"polling", "deletion_guard", "mirror_content", "on_unmapped"}
        connection.execute(update(t.settings_revision).values(document=old))
    found = store.config.revision()
    assert found.settings == wanted
    assert differences(found.settings, wanted) == {}
    assert store.config.save_settings(wanted, "ruben", NOW) == (found.id, False)


def test_new_names_of_settings_cause_no_full_read() -> None:
    """The hashes of the release before the settings were renamed."""
    assert blocks_hash(parse({})) == "e022ccfff329e21b"
    change = {"block_time": {"duplicates": "block"}, "mirror_content": {"busy_title": "Away"}}
    assert blocks_hash(parse(change)) == "99e809f56d841210"


def test_new_settings_cause_a_full_read_only_where_they_are_used() -> None:
    usual = {"buffers": {"every_event": {"before_minutes": 0}}}
    assert blocks_hash(parse({"block_time": usual})) == blocks_hash(parse({}))
    changes: tuple[dict[str, object], ...] = (
        {"buffers": {"online": {"after_minutes": 5}}},
        {"working_elsewhere": "block"},
        {"out_of_office": "ignore"},
        {"all_day_kinds": {"tentative": "ignore"}},
        {"all_day_kinds": {"free": "block"}},
        {"out_of_office_title": "Away"},
        {"report_overlaps": False},
    )
    for change in changes:
        assert blocks_hash(parse({"block_time": change})) != blocks_hash(parse({}))
    for minutes in (0, 5):
        content = {"buffers": {"every_visit": {"before_minutes": minutes}}}
        same = blocks_hash(parse({"mirror_content": content})) == blocks_hash(parse({}))
        assert same is (minutes == 0)


def test_staff_who_are_no_longer_listed_are_inactive(store: Store) -> None:
    dana = WelkinUser("u1", "dana@example.org", "US/Eastern", active=True)
    ruben = WelkinUser("u2", "ruben@example.org", None, active=True)
    assert store.config.welkin_users_seen_at() is None
    store.config.save_welkin_users([dana, ruben], NOW)
    store.config.save_welkin_users([replace(dana, time_zone="US/Pacific")], NOW + HOUR)
    assert store.config.welkin_user("u1") == replace(dana, time_zone="US/Pacific")
    gone = replace(ruben, active=False, inactive_because="not_listed", inactive_since=NOW + HOUR)
    assert store.config.welkin_user("u2") == gone
    store.config.save_welkin_users([dana], NOW + 2 * HOUR)
    assert store.config.welkin_user("u2") == gone
    day = timedelta(days=1)
    assert store.config.inactive(NOW + HOUR + day - timedelta(seconds=1)) == set()
    assert store.config.inactive(NOW + HOUR + day) == {"u2"}
    store.config.save_welkin_users([dana, ruben], NOW + 3 * HOUR)
    assert store.config.welkin_user("u2") == ruben
    assert store.config.welkin_user("u3") is None
    assert len(store.config.welkin_users()) == 2
    assert store.config.welkin_users_seen_at() == NOW + 3 * HOUR


def test_a_fault_keeps_its_beginning(store: Store) -> None:
    assert store.runs.fault(G) is None
    store.runs.set_fault(G, code_of("one"), NOW)
    store.runs.set_fault(G, code_of("two"), NOW + HOUR)
    fault = store.runs.fault(G)
    assert fault is not None
    assert (fault.code, fault.since) == ("two", NOW)
    store.runs.set_facts("google", a=1)
    store.runs.set_fault(G, None, NOW + 2 * HOUR)
    assert store.runs.fault(G) is None
    assert store.runs.facts("google") == {"a": 1}


def test_facts_are_merged(store: Store) -> None:
    store.runs.set_facts("welkin", a=1, b=2)
    store.runs.set_facts("welkin", b=3)
    assert store.runs.facts("welkin") == {"a": 1, "b": 3}


BLOCK = BlockLink(
    user_id="u1", platform=Platform.GOOGLE, account="dana@example.org", calendar="primary",
    source=Source("x"), span=Span(NOW, NOW + HOUR),
)  # fmt: skip
REMOVAL = DeleteBlock("event_gone", BLOCK)
HOLD = Hold("brake", "d", (REMOVAL,) * 12)


def grant(store: Store, digest: str, author: str, now: datetime) -> list[Pair]:
    with store.database.write() as connection:
        return store.runs.grant(connection, digest, author, now)


def test_an_approval_is_for_a_day_and_for_all_users_of_its_digest(store: Store) -> None:
    for user in ("u1", "u2"):
        for _ in range(2):
            store.runs.request_approval(HOLD, user, G, NOW)
    assert store.runs.approved("u1", G, NOW) == frozenset()
    assert grant(store, "other", "dana", NOW) == []
    assert sorted(grant(store, "d", "dana", NOW)) == [("u1", G), ("u2", G)]
    assert grant(store, "d", "dana", NOW) == [], "only what waits is granted"
    assert store.runs.approved("u1", G, NOW + 23 * HOUR) == {"d"}
    assert store.runs.approved("u1", G, NOW + 24 * HOUR) == frozenset()
    assert store.runs.approved("u3", G, NOW) == frozenset()


def test_asking_again_does_not_take_an_approval_back_before_it_ends(store: Store) -> None:
    store.runs.request_approval(HOLD, "u1", G, NOW)
    grant(store, "d", "dana", NOW)
    store.runs.request_approval(HOLD, "u1", G, NOW + HOUR)
    assert store.runs.approved("u1", G, NOW + HOUR) == {"d"}
    store.runs.request_approval(HOLD, "u1", G, NOW + 30 * HOUR)
    with store.database.read() as connection:
        [row] = connection.execute(t.approval.select()).all()
    assert (row.granted_at, row.requested_at) == (None, NOW + 30 * HOUR)


def test_what_waits_is_listed_until_it_is_granted_or_no_longer_held(store: Store) -> None:
    other = Hold("write_back", "e", (REMOVAL,))
    store.runs.request_approval(HOLD, "u1", G, NOW)
    store.runs.request_approval(other, "u1", G, NOW + HOUR)
    store.runs.request_approval(other, "u2", G, NOW)
    assert [(p.digest, p.user_id, p.reason, p.count) for p in store.runs.pending()] == [
        ("e", "u1", "write_back", 1), ("d", "u1", "brake", 12), ("e", "u2", "write_back", 1),
    ]  # fmt: skip
    with store.database.write() as connection:
        store.runs.withdraw(connection, ("u1", G), ["d"])
    assert [(p.digest, p.user_id) for p in store.runs.pending()] == [("d", "u1"), ("e", "u2")]
    grant(store, "d", "dana", NOW)
    assert [(p.digest, p.user_id) for p in store.runs.pending()] == [("e", "u2")]


def test_cursors(store: Store) -> None:
    feeds = store.feeds
    with store.database.write() as connection:
        feeds.save_cursor(connection, "google", "u1", Cursor("1", "s", NOW), NOW, "primary")
        feeds.save_cursor(connection, "google", "u1", Cursor("2", "s"), NOW, "c_1")
        feeds.save_cursor(connection, "google", "u1", Cursor("3", "t", NOW), NOW, "primary")
    assert feeds.cursor("google", "u1", "primary") == Cursor("3", "t", NOW, NOW)
    assert feeds.cursor("google", "u1") is None
    assert len(feeds.cursors("google")) == 2


def test_seen_rows_and_the_encounter_index(store: Store) -> None:
    feeds = store.feeds
    many = {f"e{number}": Seen("1", NOW, settled=False) for number in range(1200)}
    again = {"e1": Seen("2", NOW + HOUR, settled=True)}
    encounters = [Encounter(f"w{n}", f"e{n}", "etmp", "DRAFT") for n in range(1200)]
    with store.database.write() as connection:
        feeds.remember(connection, "events", many)
        feeds.remember(connection, "events", again)
        feeds.remember(connection, "other", {})
        feeds.save_encounters(connection, encounters)
        feeds.save_encounters(connection, [replace(encounters[1], status="OPEN")])
        feeds.save_encounters(connection, [])
    assert feeds.seen("events", many) == many | again
    assert feeds.seen("other", many) == {}
    found = feeds.encounters(f"w{n}" for n in range(1300))
    assert len(found) == 1200
    assert found["w1"].status == "OPEN"
    by_id = feeds.encounters_by_id(["e1", "e2", "x"])
    assert sorted(by_id, key=lambda row: row.event_id) == [found["w1"], found["w2"]]
    with store.database.write() as connection:
        feeds.forget_seen(connection, NOW + HOUR)
    assert feeds.seen("events", many) == again
