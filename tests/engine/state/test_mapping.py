"""The user mapping in the state database: rows, revisions, history, and what a change sets off."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from calendar_sync.config.mapping import Format, read_mapping, write_mapping
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.feeds import Cursor
from calendar_sync.state.marks import ASKED
from calendar_sync.state.rules import of_rule
from tests.engine.state.conftest import NOW

G, M = Platform.GOOGLE, Platform.MICROSOFT
ONE = MappedUser("u1", G, "dana@example.org")
TWO = MappedUser("u2", G, "ruben@example.org", direction=Direction.WELKIN_TO_CALENDAR)
HOUR = timedelta(hours=1)


def rows(store: Store) -> list[MappedUser]:
    return [replace(user, revision=0) for user in store.config.mapping()]


def test_the_mapping_becomes_exactly_what_is_given(store: Store) -> None:
    first = store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    assert (first.added, first.changed, first.removed) == ((ONE, TWO), (), ())
    assert rows(store) == [ONE, TWO]
    moved = replace(ONE, account="dana.new@example.org")
    second = store.config.edit_mapping(lambda _: [moved], "x", NOW)
    assert second.changed == (moved,)
    assert [user.user_id for user in second.removed] == ["u2"]
    assert rows(store) == [moved]
    assert store.config.mapped("u1", G) is not None
    assert store.config.mapped("u2", G) is None
    assert store.config.edit_mapping(lambda _: [moved], "x", NOW).changed == ()


def test_two_may_exchange_their_accounts(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    swapped = [replace(ONE, account=TWO.account), replace(TWO, account=ONE.account)]
    store.config.edit_mapping(lambda _: swapped, "x", NOW)
    assert rows(store) == swapped


def test_who_is_new_or_changed_gets_work_and_a_full_read(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    for user in ("u1", "u2"):
        with store.database.write() as connection:
            store.feeds.save_cursor(connection, "google", user, Cursor("p", "s"), NOW, "primary")
            store.marks.done(connection, (user, G), 1, NOW, NOW + 24 * HOUR)
    store.config.edit_mapping(
        lambda _: [replace(ONE, direction=Direction.CALENDAR_TO_WELKIN), TWO], "x", NOW
    )
    one, two = store.marks.of("u1", G), store.marks.of("u2", G)
    assert one.marked
    assert one.next_full_at == NOW
    assert not two.marked
    assert set(store.feeds.cursors("google")) == {("u2", "primary")}
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)
    assert store.feeds.cursors("google") == {}


def test_every_change_has_a_number_and_stands_in_the_history(store: Store) -> None:
    assert store.config.mapping_revision() == 0
    assert store.config.mapping_history() == []
    assert store.config.edit_mapping(lambda _: [ONE, TWO], "dana", NOW).revision == 1
    moved = replace(ONE, account="dana.new@example.org", enabled=False)
    assert store.config.edit_mapping(lambda _: [moved], "ruben", NOW + HOUR).revision == 2
    assert store.config.edit_mapping(lambda _: [moved], "ruben", NOW + HOUR).revision == 2
    found = store.config.mapping_history()
    assert [(c.revision, c.author, c.at, c.user_id, c.platform) for c in found] == [
        (2, "ruben", NOW + HOUR, "u2", G),
        (2, "ruben", NOW + HOUR, "u1", G),
        (1, "dana", NOW, "u2", G),
        (1, "dana", NOW, "u1", G),
    ]
    assert [(c.before, c.after) for c in found] == [
        (TWO, None), (ONE, moved), (None, TWO), (None, ONE),
    ]  # fmt: skip
    assert {user.revision for user in store.config.mapping()} == {2}


def test_a_number_is_never_given_twice(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)
    store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    assert store.config.edit_mapping(lambda _: [], "x", NOW).revision == 3
    assert store.config.edit_mapping(lambda _: [ONE], "x", NOW).revision == 4
    assert store.config.mapping_revision() == 4


def test_numbers_from_before_there_was_a_history_count(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)
    with store.database.write() as connection:
        connection.execute(t.mapping_change.delete())
        connection.execute(t.user_mapping.update().values(revision=7))
    assert store.config.mapping_revision() == 7
    assert store.config.edit_mapping(lambda _: [], "x", NOW).revision == 8


def test_the_history_of_one_user_and_of_one_mailbox(store: Store) -> None:
    both = [ONE, replace(ONE, platform=M)]
    store.config.edit_mapping(lambda _: [*both, TWO], "x", NOW)
    store.config.edit_mapping(lambda _: [*both, replace(TWO, account="r@example.org")], "x", NOW)

    def seen(**wanted: Any) -> list[tuple[int, str, Platform]]:
        found = store.config.mapping_history(**wanted)
        return [(change.revision, change.user_id, change.platform) for change in found]

    assert seen(user_id="u1") == [(1, "u1", M), (1, "u1", G)]
    assert seen(account="RUBEN@example.org") == [(2, "u2", G), (1, "u2", G)]
    assert seen(account="r@example.org", newest=1) == [(2, "u2", G)]
    assert seen(newest=1) == [(2, "u2", G)]
    assert seen(user_id="u1", account="r@example.org") == []


def test_the_second_of_two_who_change_the_mapping_is_warned(store: Store) -> None:
    seen = store.config.edit_mapping(lambda _: [ONE], "dana", NOW).revision
    store.config.edit_mapping(lambda _: [ONE, TWO], "ruben", NOW, based_on=seen)
    before = rows(store)
    moved = [replace(ONE, enabled=False)]
    for refused in (store.config.preview_mapping, replace_as_dana(store)):
        with pytest.raises(ConfigurationError, match="revision 2 is by ruben") as caught:
            refused(moved, based_on=seen)
        assert caught.value.code == RequestCode.CHANGED_MEANWHILE
    assert rows(store) == before
    assert store.config.mapping_revision() == 2
    # What both want is no quarrel.
    assert store.config.edit_mapping(lambda _: [ONE, TWO], "dana", NOW, based_on=seen).revision == 2


def replace_as_dana(store: Store) -> Any:
    return lambda users, based_on: store.config.edit_mapping(
        lambda _: users, "dana", NOW, based_on=based_on
    )


def test_of_many_at_the_same_moment_one_wins(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)

    def change(number: int) -> str:
        user = replace(ONE, account=f"dana{number}@example.org")
        try:
            store.config.edit_mapping(lambda _: [user], f"x{number}", NOW, based_on=1)
        except ConfigurationError as error:
            return error.code
        return "stored"

    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(change, range(4)))
    assert sorted(ends) == [RequestCode.CHANGED_MEANWHILE] * 3 + ["stored"]
    assert rows(store)[0].account == f"dana{ends.index('stored')}@example.org"
    assert store.config.mapping_revision() == 2


def test_edits_at_the_same_moment_all_hold(store: Store) -> None:
    def add(number: int) -> None:
        user = MappedUser(f"u{number}", G, f"u{number}@example.org")
        store.config.edit_mapping(lambda users: [*users, user], "x", NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert len(store.config.mapping()) == 8
    assert store.config.mapping_revision() == 8


@pytest.mark.parametrize(
    ("users", "words"),
    [
        ([ONE, replace(TWO, account="DANA@example.org")], ["dana@example.org", "u1", "u2"]),
        ([ONE, replace(ONE, account="other@example.org")], ["u1", "dana@", "other@"]),
        ([ONE, ONE, replace(ONE, enabled=False)], ["u1"]),
    ],
    ids=["one account", "one user", "three rows"],
)
def test_two_on_one_account_and_a_user_twice_are_refused(
    store: Store, users: list[MappedUser], words: list[str]
) -> None:
    store.config.edit_mapping(lambda _: [TWO], "x", NOW)
    before = rows(store)
    with pytest.raises(ConfigurationError) as caught:
        store.config.edit_mapping(lambda _: users, "x", NOW)
    assert all(word in caught.value.detail for word in words)
    assert rows(store) == before


def test_an_account_is_stored_in_lower_case(store: Store) -> None:
    store.config.edit_mapping(lambda _: [replace(ONE, account="Dana@Example.org")], "x", NOW)
    assert rows(store) == [ONE]
    assert not store.config.preview_mapping([replace(ONE, account="DANA@example.org")])


def test_a_preview_changes_nothing(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    moved, three = replace(ONE, enabled=False), MappedUser("u3", M, "mira@example.org")
    found = store.config.preview_mapping([moved, three])
    assert (found.added, found.changed) == ((three,), (moved,))
    assert [replace(user, revision=0) for user in found.replaced] == [ONE]
    assert [user.user_id for user in found.removed] == ["u2"]
    assert rows(store) == [ONE, TWO]
    assert store.config.mapping_revision() == 1


def test_a_disabled_row_is_no_work_and_an_enabled_one_is_again(store: Store) -> None:
    store.config.edit_mapping(lambda _: [replace(ONE, enabled=False)], "x", NOW)
    assert not store.marks.of("u1", G).marked
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)
    assert store.marks.of("u1", G).marked


def test_a_mark_that_waits_keeps_its_age(store: Store) -> None:
    store.config.edit_mapping(lambda _: [ONE], "x", NOW)
    store.config.edit_mapping(lambda _: [replace(ONE, account="d@example.org")], "x", NOW + HOUR)
    state = store.marks.of("u1", G)
    assert (state.mark_seq, state.marked_at, state.next_full_at) == (2, NOW, NOW + HOUR)
    assert state.full_because == ASKED, "what it finds was not missed"


# --- many -------------------------------------------------------------------------------------


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What is sent to the database; many rows in one go are one."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, text: str, *others: Any) -> None:
        seen.append(text)

    event.listen(store.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.database.engine, "before_cursor_execute", note)


def test_the_number_of_statements_does_not_grow_with_the_rows(store: Store) -> None:
    def counts(size: int) -> list[int]:
        every = [MappedUser(f"u{n}", G, f"u{n}@example.org") for n in range(size)]
        moved = [replace(user, account=f"x{user.account}") for user in every]
        found = []
        for users in (every, moved, []):
            with statements(store) as seen:
                store.config.edit_mapping(lambda _: users, "x", NOW)  # noqa: B023 - called at once
            found.append(len(seen))
        return found

    counts(1)  # a new database has statements of its own
    few = counts(2)
    assert counts(400) == few
    assert max(few) < 15


@pytest.mark.parametrize(
    "users", [10_000, pytest.param(50_000, marks=pytest.mark.every_seed)], ids=str
)
def test_a_large_mapping_is_imported_in_seconds(store: Store, users: int) -> None:
    """From the text of the file to the marks.

    Seen with 100,000 rows: 3 s on SQLite, 7 s on PostgreSQL.
    """
    every = [
        MappedUser(f"d0c70000-0000-4000-8000-{n:012d}", platform, f"u{n}@example.org")
        for n in range(users)
        for platform in Platform
    ]
    content = write_mapping(every, Format.CSV).encode()
    # Our own work: how long a busy machine takes for it proves nothing.
    begin = time.process_time()
    found = store.config.edit_mapping(lambda _: read_mapping(content, "m.csv").users, "x", NOW)
    assert time.process_time() - begin < 30
    assert len(found.added) == 2 * users
    assert sum(state.marked for state in store.marks.all().values()) == 2 * users


def test_the_calendar_that_was_made_is_read_with_the_row_and_is_no_part_of_it(
    store: Store,
) -> None:
    store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    with store.database.write() as connection:
        store.own_calendars.begin(connection, ("u1", G, ONE.account), NOW)
    assert [user.own_calendar for user in store.config.mapping()] == ["", ""]
    with store.database.write() as connection:
        store.own_calendars.save(connection, ("u1", G, ONE.account), "c1", NOW)
        store.own_calendars.save(connection, ("u1", M, ONE.account), "c2", NOW)
    assert [user.own_calendar for user in store.config.mapping()] == ["c1", ""]
    found = store.config.mapped("u1", G)
    assert found is not None
    assert found.own_calendar == "c1"
    # A file, which does not know of it, changes nothing.
    assert not store.config.edit_mapping(lambda _: [ONE, TWO], "x", NOW)
    moved = replace(ONE, account="dana.new@example.org")
    store.config.edit_mapping(lambda _: [moved, TWO], "x", NOW)
    assert [user.own_calendar for user in store.config.mapping()] == ["", ""]
    # Whoever has the mailbox now has the calendar, too.
    with store.database.write() as connection:
        store.own_calendars.save(connection, ("u2", G, ONE.account), "c1", NOW)
    assert store.own_calendars.of("u1", G) == []
    assert store.own_calendars.elsewhere(("u1", G, ONE.account), {"c1"}) == set()
    assert store.own_calendars.elsewhere(("u1", G, "other@example.org"), {"c1"}) == {"c1"}


def test_what_rules_wrote_is_kept_with_the_row_and_goes_with_it(store: Store) -> None:
    made = [of_rule(ONE, "surgeons"), of_rule(replace(TWO, enabled=False), "nurses")]
    store.config.edit_mapping(
        lambda _: [ONE, TWO], "x", NOW, then=lambda c: store.rules.save(c, made, NOW)
    )
    assert store.rules.rows() == {one.pair: one for one in made}
    assert [one.owns(row) for one, row in zip(made, rows(store), strict=True)] == [True, False]
    again = replace(made[0], rule="hands", profile="basic")
    store.config.edit_mapping(
        lambda old: old, "x", NOW, then=lambda c: store.rules.save(c, [again], NOW)
    )
    assert store.rules.rows()["u1", G] == again
    store.config.edit_mapping(lambda _: [TWO], "x", NOW)
    assert store.rules.rows().keys() == {("u2", G)}
    assert store.rules.result() is None
    store.rules.save_result({"at": "now"})
    store.rules.save_result({"at": "then"})
    assert store.rules.result() == {"at": "then"}
