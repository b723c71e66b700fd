"""The list of users: found, sorted and paged by the database, in the states of the report."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.model import (
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Span,
    WelkinUser,
)
from calendar_sync.insight.overview import overview
from calendar_sync.insight.status import status
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import (
    Everybody,
    UserList,
    Wanted,
    list_users,
    listed_user,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.engine.admin.population import populate
from tests.engine.state.conftest import NOW

SETTINGS = parse({})


def ago(**span: int) -> datetime:
    return NOW - timedelta(**span)


GOOGLE, MICROSOFT = Platform.GOOGLE, Platform.MICROSOFT


def connect(
    store: Store, *accounts: str, platform: Platform = GOOGLE, at_rest: bool = True
) -> None:
    """Map `ada` of ada@example.org and so on; `at_rest` synced a minute ago, without work."""
    known = store.config.mapping()
    added = [MappedUser(each.partition("@")[0], platform, each) for each in accounts]
    store.config.edit_mapping(lambda _: [*known, *added], "tests", NOW)
    if at_rest:
        for user in added:
            put(
                store,
                user.user_id,
                platform,
                done_seq=99,
                last_success_at=NOW - timedelta(minutes=1),
            )


def mirror(user_id: str) -> MirrorLink:
    """One that stands in the calendar of this user's account."""
    return MirrorLink(
        user_id=user_id,
        platform=GOOGLE,
        account=f"{user_id}@example.org",
        calendar="primary",
        appointment_id="visit",
        generation=1,
        state=LinkState.LIVE,
        mirror_id=f"remote-{user_id}",
        span=Span(NOW, NOW + timedelta(hours=1)),
    )


def put(store: Store, user_id: str, platform: Platform = GOOGLE, **values: Any) -> None:
    table = t.user_sync
    with store.database.write() as connection:
        connection.execute(
            update(table)
            .where(table.c.user_id == user_id, table.c.platform == platform.value)
            .values(**values)
        )


def ask(store: Store, **wanted: Any) -> UserList:
    return list_users(store, SETTINGS, Wanted(**wanted), NOW)


def accounts(found: UserList) -> list[str]:
    return [user.account for user in found.users]


def approval(store: Store, user_id: str) -> None:
    row = {"digest": "d", "user_id": user_id, "platform": "google", "removals": 9}
    with store.database.write() as connection:
        connection.execute(insert(t.approval), [{**row, "reason": "brake", "requested_at": NOW}])


def leave(store: Store, *users: str) -> None:
    staff = [
        WelkinUser(user_id, f"{user_id}@clinic.example", None, user_id not in users, "inactive")
        for user_id in {*users, *(row.user_id for row in store.config.mapping())}
    ]
    store.config.save_welkin_users(staff, NOW)


def test_each_state_is_shown(store: Store) -> None:
    names = ("ok", "late", "new", "retrying", "attention", "waiting", "disabled", "away", "both")
    connect(store, *(f"{name}@example.org" for name in names))
    put(store, "late", last_success_at=NOW - timedelta(minutes=7))
    put(store, "new", last_success_at=None)
    put(store, "retrying", failures=1, error_code="google_unavailable")
    put(store, "attention", failures=3, attention=True, last_success_at=None)
    put(store, "both", failures=3, attention=True)
    approval(store, "waiting")
    approval_of_failing = {"digest": "e", "user_id": "both", "platform": "google", "removals": 1}
    with store.database.write() as connection:
        row = {**approval_of_failing, "reason": "brake", "requested_at": NOW}
        connection.execute(insert(t.approval), [row])
    rows = store.config.mapping()
    changed = [replace(row, enabled=row.user_id != "disabled") for row in rows]
    store.config.edit_mapping(lambda _: changed, "tests", NOW)
    leave(store, "away")
    found = {user.user_id: user.state for user in ask(store).users}
    assert found == {
        "ok": UserState.OK,
        "late": UserState.LATE,
        "new": UserState.NEW,
        "retrying": UserState.RETRYING,
        "attention": UserState.NEEDS_ATTENTION,
        "waiting": UserState.WAITING,
        "disabled": UserState.DISABLED,
        "away": UserState.AWAY,
        "both": UserState.NEEDS_ATTENTION,
    }


@pytest.mark.parametrize(
    ("state", "since"),
    [
        ({"last_success_at": ago(minutes=6)}, None),
        ({"last_success_at": ago(minutes=7)}, ago(minutes=7)),
        ({"last_success_at": ago(minutes=1), "mark_seq": 1, "marked_at": ago(minutes=5)}, None),
        (
            {"last_success_at": ago(minutes=1), "mark_seq": 1, "marked_at": ago(minutes=9)},
            ago(minutes=9),
        ),
        ({"last_success_at": ago(minutes=1), "marked_at": ago(minutes=9)}, None),
        ({}, None),
        ({"mark_seq": 1, "marked_at": ago(minutes=9)}, ago(minutes=9)),
        (
            {"last_success_at": ago(minutes=10), "mark_seq": 1, "marked_at": ago(minutes=9)},
            ago(minutes=10),
        ),
    ],
)
def test_who_is_late_and_since_when(
    store: Store, state: dict[str, Any], since: datetime | None
) -> None:
    connect(store, "dana@example.org", at_rest=False)
    put(store, "dana", **{"mark_seq": 0, "done_seq": 0, "marked_at": None, **state})
    found = Everybody(store, SETTINGS, NOW).in_trouble(GOOGLE)
    assert [(one.late, one.behind_since) for one in found] == [(True, since)] * (since is not None)
    [listed] = ask(store).users
    assert listed.late == (since is not None)


@pytest.mark.parametrize("leaving", [0, 3, 40])
def test_it_counts_as_the_report_does(store: Store, leaving: int) -> None:
    populate(store, NOW, 150)
    leave(store, *(f"user-{number:05}" for number in range(0, 3 * leaving, 3)))
    found = Everybody(store, SETTINGS, NOW).standing
    reported = {Platform(one.platform): one for one in status(store, NOW)}
    assert found.keys() == reported.keys() == set(Platform)
    for platform, one in found.items():
        counted = {name: count for name, count in one.states.items() if count}
        assert counted == {name: n for name, n in reported[platform].users.items() if n}
        age = (NOW - (one.oldest_change or NOW)).total_seconds()
        assert age == reported[platform].freshness_seconds
    assert found[GOOGLE].oldest_change is not None
    away = sum(one.states[UserState.AWAY] for one in found.values())
    # Forty of a hundred leavers with Google are too many to be believed at once.
    assert away == (leaving if leaving <= 3 else 0)


def pause(store: Store, user_id: str, until: datetime) -> None:
    with store.database.write() as connection:
        store.pauses.begin(connection, user_id, until, "airflow:somebody", ago(days=3))


def test_whoever_is_paused_is_neither_late_nor_in_trouble(store: Store) -> None:
    connect(store, "resting@example.org", "off@example.org", "failing@example.org")
    put(store, "resting", last_success_at=ago(days=2), mark_seq=100, marked_at=ago(days=2))
    put(store, "failing", failures=5, attention=True, last_success_at=ago(days=2))
    until = NOW + timedelta(days=1)
    for name in ("resting", "off", "failing"):
        pause(store, name, until)
    rows = store.config.mapping()
    changed = [replace(row, enabled=row.user_id != "off") for row in rows]
    store.config.edit_mapping(lambda _: changed, "tests", NOW)
    everybody = Everybody(store, SETTINGS, NOW)
    assert everybody.in_trouble(GOOGLE) == []
    assert everybody.needing_attention() == ()
    assert everybody.left_behind(GOOGLE) == []
    assert everybody.standing[GOOGLE].late == 0
    assert everybody.standing[GOOGLE].oldest_change is None
    assert everybody.standing[GOOGLE].states[UserState.PAUSED] == 2
    assert [one.account for one in everybody.paused(GOOGLE)] == [
        "failing@example.org",
        "resting@example.org",
    ]
    found = {user.user_id: user for user in ask(store).users}
    assert found["off"].state is UserState.DISABLED
    resting = found["resting"]
    assert (resting.state, resting.late, resting.behind_since) == (UserState.PAUSED, False, None)
    assert (resting.paused_until, resting.paused_by) == (until, "airflow:somebody")
    [entry] = status(store, NOW)
    assert [(one["account"], one["until"]) for one in entry.paused] == [
        ("failing@example.org", until),
        ("resting@example.org", until),
    ]
    assert entry.freshness_seconds == 0


@pytest.mark.parametrize(("minutes", "late"), [(1, False), (6, False), (7, True)])
def test_nobody_is_late_right_after_a_pause(store: Store, minutes: int, late: bool) -> None:
    connect(store, "dana@example.org")
    put(store, "dana", last_success_at=ago(days=2))
    pause(store, "dana", ago(minutes=minutes))
    [found] = ask(store).users
    assert found.late is late
    assert found.behind_since == (ago(minutes=minutes) if late else None)
    assert (found.paused_until, found.paused_by) == (None, "")


def test_late_are_those_over_the_target(store: Store) -> None:
    connect(store, "in-time@example.org", "late@example.org", "off@example.org")
    for name, seconds in (("in-time", 299), ("late", 301), ("off", 900)):
        put(store, name, mark_seq=100, marked_at=NOW - timedelta(seconds=seconds))
    rows = store.config.mapping()
    changed = [replace(row, enabled=row.user_id != "off") for row in rows]
    store.config.edit_mapping(lambda _: changed, "tests", NOW)
    found = Everybody(store, SETTINGS, NOW).standing[GOOGLE]
    assert (found.synced, found.late) == (2, 1)
    assert found.oldest_change == NOW - timedelta(seconds=301)


def test_search_is_for_part_of_account_id_or_address(store: Store) -> None:
    connect(
        store, "Ada@example.org".lower(), "bob@example.org", "a_c@example.org", "abc@example.org"
    )
    staff = [WelkinUser("bob", "robert@clinic.example", None, True, "")]
    store.config.save_welkin_users(staff, NOW)
    assert accounts(ask(store, search="ADA@")) == ["ada@example.org"]
    assert accounts(ask(store, search=" robert@ ")) == ["bob@example.org"]
    # Neither is a pattern.
    assert accounts(ask(store, search="a_c")) == ["a_c@example.org"]
    assert accounts(ask(store, search="%")) == []
    assert ask(store, search="nobody").total == 0


def test_filters_and_their_counts(store: Store) -> None:
    connect(store, "ada@example.org", "bob@example.org")
    connect(store, "cyd@example.org", platform=MICROSOFT)
    put(store, "ada", failures=1)
    assert accounts(ask(store, platform=MICROSOFT)) == ["cyd@example.org"]
    found = ask(store, state=UserState.RETRYING)
    assert accounts(found) == ["ada@example.org"]
    # The counts are of every state, so that one can go on to another.
    assert (found.total, found.states[UserState.RETRYING], found.states[UserState.OK]) == (1, 1, 2)
    assert set(found.states) == set(UserState)


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("account", False, ["a", "b", "c"]),
        ("account", True, ["c", "b", "a"]),
        ("state", False, ["b", "a", "c"]),
        ("last_success", False, ["c", "a", "b"]),
        # Who never had a success comes last either way.
        ("last_success", True, ["a", "c", "b"]),
        ("freshness", False, ["b", "c", "a"]),
        ("retry", False, ["b", "a", "c"]),
    ],
)
def test_order(store: Store, sort: Any, descending: bool, expected: list[str]) -> None:
    connect(store, "a@example.org", "b@example.org", "c@example.org")
    minute = timedelta(minutes=1)
    put(store, "a", last_success_at=NOW)
    put(store, "b", last_success_at=None, failures=4, attention=True, retry_at=NOW + minute)
    put(store, "b", mark_seq=100, marked_at=NOW - 9 * minute)
    put(store, "c", last_success_at=NOW - minute, mark_seq=100, marked_at=NOW - minute)
    found = ask(store, sort=sort, descending=descending)
    assert [user.user_id for user in found.users] == expected


def test_pages_show_everybody_once(store: Store) -> None:
    connect(store, *(f"user{number}@example.org" for number in range(23)))
    pages = [ask(store, size=10, page=number) for number in (1, 2, 3)]
    assert [len(page.users) for page in pages] == [10, 10, 3]
    assert len({user.user_id for page in pages for user in page.users}) == 23
    assert (pages[0].total, pages[0].pages) == (23, 3)
    # A page that is not there (any more) is the last one.
    assert ask(store, size=10, page=99).page == 3


def test_mirrors_blocks_waiting_and_pause(store: Store) -> None:
    connect(store, "ada@example.org")
    link = {
        "user_id": "ada",
        "platform": "google",
        "account": "ada@example.org",
        "calendar": "primary",
        "generation": 1,
        "remote_id": "r",
        "span": "",
        "created_at": NOW,
        "updated_at": NOW,
    }
    kinds = (("mirror", "live"), ("mirror", "live"), ("mirror", "deleted"), ("block", "live"))
    with store.database.write() as connection:
        connection.execute(
            insert(t.link),
            [
                {**link, "kind": kind, "state": state, "source_id": str(number)}
                for number, (kind, state) in enumerate(kinds)
            ],
        )
    put(store, "ada", poll_error="google_limited", poll_failed_at=NOW, retry_at=NOW)
    [ada] = ask(store).users
    assert (ada.mirrors, ada.blocks) == (2, 1)
    # A pause that is over is none; a poll that fails is an error, though no cycle failed.
    assert (ada.retry_at, ada.behind_since, ada.error) == (None, None, "google_limited")
    assert listed_user(store, SETTINGS, "ada", NOW) == (ada,)
    assert listed_user(store, SETTINGS, "bob", NOW) == ()


@pytest.mark.parametrize("users", [20, 400])
def test_a_page_takes_few_statements_however_many_they_are(store: Store, users: int) -> None:
    populate(store, NOW, users)
    settings: Settings = store.config.revision().settings
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    list_users(store, settings, Wanted(), NOW)
    selects = [statement for statement in seen if statement.lstrip().upper().startswith("SELECT")]
    # How many there are, state counts, the page, its links; for each platform: approvals of
    # leavers, and leavers.
    assert len(selects) == 4 + 2 * len(Platform)


def test_who_needs_attention_is_named_until_well_and_leavers_are_too(store: Store) -> None:
    connect(store, "ada@example.org", "bob@example.org", "cy@example.org")
    failed: dict[str, Any] = {
        "failures": 3,
        "attention": True,
        "error_code": "google_account_refused",
    }
    put(store, "bob", **failed, failing_since=NOW, retry_at=NOW + timedelta(hours=1))
    put(store, "cy", failures=2, error_code="timeout")
    # Dee is no longer mapped, and what she has cannot be removed.
    with store.database.write() as connection:
        store.links.save(connection, mirror("dee"), NOW, 1)
        store.marks.mark(connection, [("dee", GOOGLE), ("eve", GOOGLE)], NOW)
    put(store, "dee", **failed)
    put(store, "eve", **failed)  # nothing of hers is left: she needs nothing
    found = Everybody(store, SETTINGS, NOW).needing_attention()
    assert [(one.account, one.state, one.failures) for one in found] == [
        ("bob@example.org", UserState.NEEDS_ATTENTION, 3),
        ("dee@example.org", UserState.NEEDS_ATTENTION, 3),
    ]
    assert found[0].error == "google_account_refused"
    assert Everybody(store, SETTINGS, NOW).needing_attention(MICROSOFT) == ()
    kept = parse({"on_unmapped": "keep"})
    assert [one.user_id for one in Everybody(store, kept, NOW).needing_attention()] == ["bob"]
    first = overview(store, SETTINGS, NOW)
    assert [one.account for one in first.attention] == ["bob@example.org", "dee@example.org"]
    put(store, "bob", failures=0, attention=False, error_code=None)
    assert [one.user_id for one in Everybody(store, SETTINGS, NOW).needing_attention()] == ["dee"]


def test_the_status_asks_about_all_users_once_not_for_each_platform(store: Store) -> None:
    populate(store, NOW, 20)
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    assert len(status(store, NOW)) == len(Platform)
    # Counted; failing or late; leaving.
    assert len([one for one in seen if "AS behind_since" in one]) == 3
