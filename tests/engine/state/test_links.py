"""Links, conflicts, parked items."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from calendar_sync.config.settings import parse
from calendar_sync.core.model import (
    Conflict,
    ConflictDecision,
    ConflictKind,
    Link,
    LinkKind,
    LinkState,
    MappedUser,
    Platform,
    Source,
    Span,
    Step,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.links import REFUSED_PAUSE, TRANSIENT_PAUSE
from calendar_sync.sync.roster import members
from tests.engine.state.conftest import NOW

G = Platform.GOOGLE
PAIR = ("u1", G)
START = datetime(2026, 3, 3, 14, tzinfo=UTC)


def link(key: str = "a1", **more: Any) -> Link:
    values: dict[str, Any] = {
        "kind": LinkKind.MIRROR, "user_id": "u1", "platform": G, "account": "dana@example.org",
        "calendar": "primary", "source": Source(key), "generation": 1, "state": LinkState.LIVE,
        "remote_id": f"m-{key}", "span": Span(START, START + timedelta(hours=1)),
    }  # fmt: skip
    return Link(**{**values, **more})


def save(store: Store, *links: Link) -> list[Link]:
    with store.database.write() as connection:
        return [store.links.save(connection, each, NOW, 1) for each in links]


def test_a_link_reads_back_as_it_was_saved(store: Store) -> None:
    made = save(
        store,
        link(
            etag='"7"', wanted_hash="w", remote_hash="r", source_hash="s", restores=2,
            restored_at=NOW,
        ),
        link(
            "s1", kind=LinkKind.BLOCK, source=Source("s1", "2026-03-03T14:00:00Z"), event_id="s1_x",
            span=Span(date(2026, 3, 3), date(2026, 3, 5)), state=LinkState.INTENT,
        ),
    )  # fmt: skip
    assert sorted(store.links.of(*PAIR), key=lambda each: each.id or 0) == made
    changed = replace(made[0], state=LinkState.DELETED, generation=2)
    save(store, changed)
    assert changed in store.links.of(*PAIR)
    assert len(store.links.of(*PAIR)) == 2


def test_what_an_id_is_about_is_told_by_indexes(store: Store) -> None:
    block = {"kind": LinkKind.BLOCK, "event_id": "x_1"}
    made = save(store, link("a1"), link("x", **block), link("a2", remote_id="x_1"), link("a3"))
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(store.database.engine, "before_cursor_execute", note)
    assert store.links.about("x_1") == [made[1], made[2]]
    assert store.links.about("a3") == [made[3]]
    event.remove(store.database.engine, "before_cursor_execute", note)
    sqlite = store.database.is_sqlite
    steps = []
    with store.database.read() as connection:
        if not sqlite:
            # A table of four rows is read as a whole, whatever indexes it has.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, values in asked:
            if "FROM link" in statement:
                explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
                rows = connection.exec_driver_sql(f"{explain} {statement}", values)
                steps += [str(row[-1]) for row in rows]
    said = "\n".join(steps)
    for name in ("source_id", "event_id", "remote_id"):
        assert f"ix_link_{name}" in said, said
    assert "SCAN link" not in said, said
    assert "Seq Scan" not in said, said


def test_there_is_one_link_for_an_item_and_calendar(store: Store) -> None:
    save(
        store,
        link(),
        link(calendar="c_1"),
        link(kind=LinkKind.BLOCK),
        link(account="b@example.org"),
    )
    with pytest.raises(IntegrityError):
        save(store, link(remote_id="other"))


def test_who_is_concerned_by_an_id(store: Store) -> None:
    save(
        store,
        *(link(f"a-{state}", state=state) for state in LinkState),
        *(link(f"b-{state}", kind=LinkKind.BLOCK, state=state) for state in LinkState),
    )
    sources = [f"a-{state}" for state in LinkState]
    found = store.links.live_by_source(LinkKind.MIRROR, sources)
    assert {each.state for each in found} == {LinkState.LIVE, LinkState.INTENT}
    blocks = [f"m-b-{state}" for state in LinkState]
    states = {each.state for each in store.links.live_by_remote(LinkKind.BLOCK, blocks)}
    assert states == {LinkState.LIVE, LinkState.INTENT, LinkState.RETIRED}
    assert store.links.live_by_source(LinkKind.MIRROR, []) == []
    assert store.links.live_by_source(LinkKind.MIRROR, [f"x{n}" for n in range(1200)]) == []


@pytest.mark.parametrize(
    ("kind", "state", "concerned"),
    [
        (LinkKind.MIRROR, LinkState.LIVE, True),
        (LinkKind.MIRROR, LinkState.INTENT, True),
        (LinkKind.MIRROR, LinkState.RETIRED, True),
        (LinkKind.MIRROR, LinkState.DELETED, False),
        (LinkKind.MIRROR, LinkState.DISMISSED, False),
        (LinkKind.BLOCK, LinkState.LIVE, True),
        (LinkKind.BLOCK, LinkState.RETIRED, True),
        (LinkKind.BLOCK, LinkState.DISMISSED, False),
    ],
)
def test_who_has_left_something(
    store: Store, kind: LinkKind, state: LinkState, concerned: bool
) -> None:
    save(store, link(kind=kind, state=state))
    with store.database.write() as connection:
        store.marks.ensure(connection, [("u1", G), ("u2", G)])
    expected = {"u1"} if concerned else set()
    assert store.links.holders(G) == expected
    assert store.links.holders(Platform.MICROSOFT) == set()
    row = MappedUser("u1", G, "dana@example.org")
    for rows, leaving in (
        ([], expected),
        ([row], set()),
        ([replace(row, enabled=False)], expected),
    ):
        store.config.edit_mapping(lambda _: rows, "x", NOW)  # noqa: B023 - called at once
        assert members(store, parse({}), G, NOW).leaving == leaving
        assert members(store, parse({"on_unmapped": "keep"}), G, NOW).leaving == set()


def refuse(store: Store, content: str = "c", times: int = 1, *, transient: bool = False) -> None:
    for _ in range(times):
        with store.database.write() as connection:
            store.links.refused(
                connection,
                PAIR,
                Step.CREATE_MIRROR,
                Source("a1"),
                content,
                "bad",
                NOW,
                transient=transient,
            )


def test_parked_after_three_tries_with_the_same_content(store: Store) -> None:
    refuse(store, times=2)
    assert store.links.parked(*PAIR, NOW) == {}
    refuse(store)
    assert store.links.parked(*PAIR, NOW) == {(Step.CREATE_MIRROR, Source("a1")): "c"}
    refuse(store, "d")
    assert store.links.parked(*PAIR, NOW) == {}
    refuse(store, "d", 2)
    assert store.links.parked("u2", G, NOW) == {}
    with store.database.write() as connection:
        store.links.unpark(connection, PAIR, Source("a1"))
    assert store.links.parked(*PAIR, NOW) == {}
    refuse(store)
    assert store.links.parked(*PAIR, NOW) == {}


@pytest.mark.parametrize(("transient", "pause"), [(True, TRANSIENT_PAUSE), (False, REFUSED_PAUSE)])
def test_what_is_parked_is_tried_again_after_a_while(
    store: Store, transient: bool, pause: timedelta
) -> None:
    refuse(store, times=3, transient=transient)
    assert store.links.parked(*PAIR, NOW + pause - timedelta(minutes=1))
    assert not store.links.parked(*PAIR, NOW + pause + timedelta(minutes=1))


def test_a_conflict_seen_again_counts_up(store: Store) -> None:
    for _ in range(3):
        with store.database.write() as connection:
            store.links.record_conflicts(
                connection,
                *PAIR,
                [Conflict(ConflictKind.MIRROR_MOVED, Source("a1"), ConflictDecision.RESTORED)],
                NOW,
            )
    with store.database.read() as connection:
        [row] = connection.execute(t.conflict.select()).all()
    assert (row.times, row.kind, row.decision, row.dismissed_at) == (
        3,
        "mirror_moved",
        "restored",
        None,
    )
