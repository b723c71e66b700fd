"""Links of both types."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from calendar_sync.config.settings import parse
from calendar_sync.core.model import (
    STANDING,
    Around,
    BlockLink,
    Link,
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Source,
    Span,
)
from calendar_sync.state import Store
from calendar_sync.sync.roster import members
from tests.engine.state.conftest import NOW

G = Platform.GOOGLE
PAIR = ("u1", G)
START = datetime(2026, 3, 3, 14, tzinfo=UTC)


PLACE: dict[str, Any] = {
    "user_id": "u1", "platform": G, "account": "dana@example.org", "calendar": "primary",
    "generation": 1, "state": LinkState.LIVE, "span": Span(START, START + timedelta(hours=1)),
}  # fmt: skip


def mirror(key: str = "a1", **more: Any) -> MirrorLink:
    return MirrorLink(**{**PLACE, "appointment_id": key, "mirror_id": f"m-{key}", **more})


def block(key: str = "a1", **more: Any) -> BlockLink:
    return BlockLink(**{**PLACE, "source": Source(key), "block_id": f"m-{key}", **more})


def save(store: Store, *links: Link) -> list[Link]:
    with store.database.write() as connection:
        return [store.links.save(connection, each, NOW, 1) for each in links]


def test_a_link_reads_back_as_it_was_saved(store: Store) -> None:
    made = save(
        store,
        mirror(
            wanted_hash="w", appointment_hash="a", mirror_hash="r", creation_key="key", etag='"7"',
            level="full/busy", version="3", written_at=NOW, restores=2, restored_at=NOW,
            colour="sage", around=Around(15, 5),
        ),
        block(
            "s1", source=Source("s1", "2026-03-03T14:00:00Z"), event_id="s1_x", event_uid="u",
            span=Span(date(2026, 3, 3), date(2026, 3, 5)), state=LinkState.INTENT,
            wanted_hash="w", block_hash="r", external_id="calsync-1",
        ),
    )  # fmt: skip
    assert sorted(store.links.of(*PAIR), key=lambda each: each.id or 0) == made
    changed = replace(made[0], state=LinkState.DELETED, generation=2)
    save(store, changed)
    assert changed in store.links.of(*PAIR)
    assert len(store.links.of(*PAIR)) == 2


def test_what_an_id_is_about_is_found_by_indexes(store: Store) -> None:
    links = mirror("a1"), block("x", event_id="x_1"), mirror("a2", mirror_id="x_1"), mirror("a3")
    made = save(store, *links)
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
        mirror(),
        mirror(calendar="c_1"),
        block(),
        mirror(account="b@example.org"),
    )
    with pytest.raises(IntegrityError):
        save(store, mirror(mirror_id="other"))


def test_who_is_concerned_by_an_id(store: Store) -> None:
    save(
        store,
        *(mirror(f"a-{state}", state=state) for state in LinkState),
        *(block(f"a-{state}", state=state) for state in LinkState),
    )
    sources, ids = [f"a-{state}" for state in LinkState], [f"m-a-{state}" for state in LinkState]
    for mirrors in (store.links.mirrors_of(sources), store.links.mirrors(ids)):
        assert {type(each) for each in mirrors} == {MirrorLink}
        assert {each.state for each in mirrors} == {LinkState.LIVE, LinkState.INTENT}
    for blocks in (store.links.blocks_of(sources), store.links.blocks(ids)):
        assert {type(each) for each in blocks} == {BlockLink}
        assert {each.state for each in blocks} == STANDING
    assert store.links.mirrors_of([]) == []
    assert store.links.mirrors_of([f"x{n}" for n in range(1200)]) == []


@pytest.mark.parametrize(
    ("make", "state", "concerned"),
    [
        (mirror, LinkState.LIVE, True),
        (mirror, LinkState.INTENT, True),
        (mirror, LinkState.RETIRED, True),
        (mirror, LinkState.DELETED, False),
        (mirror, LinkState.DISMISSED, False),
        (block, LinkState.LIVE, True),
        (block, LinkState.RETIRED, True),
        (block, LinkState.DISMISSED, False),
    ],
)
def test_who_has_left_something(
    store: Store, make: Callable[..., Link], state: LinkState, concerned: bool
) -> None:
    save(store, make(state=state))
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
