"""The record of operations against what the servers saw (I16)."""

from collections import Counter
from collections.abc import Callable

from calendar_sync.state import tables as t
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
REQUEST_OF = {
    "create_mirror": "google.events.insert",
    "update_mirror": "google.events.patch",
    "delete_mirror": "google.events.delete",
    "create_block": "welkin.events.create",
    "update_block": "welkin.events.patch",
    "delete_block": "welkin.events.delete",
    "reschedule": "welkin.events.patch",
    "cancel": "welkin.events.patch",
}


def test_every_external_write_has_its_line_and_every_line_its_write(stage: Make) -> None:
    s = stage("dana", "ruben", settings={"mirror_moved": "reschedule", "mirror_deleted": "cancel"})
    visit, gone = s.visit(days=1), s.visit(days=2)
    s.meeting(days=3)
    s.meeting(days=4)
    event, freed = s.busy(days=1), s.busy(days=2)
    s.series()
    s.run()
    moved, _, dragged, deleted = s.mirrors()
    s.move(visit.event_id, 6, 9)
    s.welkin.delete_event(gone.event_id)
    s.google.move_event(SELF, dragged["id"], s.at(3, 16), s.at(3, 17))
    s.google.delete_event(SELF, deleted["id"])
    s.google.move_event(SELF, event, s.at(6, 14), s.at(6, 15))
    s.google.delete_event(SELF, freed)
    s.later(again=2)
    assert moved["id"] in {mirror["id"] for mirror in s.mirrors()}
    s.google.patch_event(SELF, s.mirrors()[0]["id"], summary="Mine")
    s.welkin.set_host(visit.event_id, s.ids["ruben"])
    s.later(again=2)
    s.remap("ruben")
    s.later(again=2)
    done = Counter(entry.kind for entry in s.sandbox.requests.writes() if entry.status < 300)
    with s.database.read() as connection:
        rows = connection.execute(t.operation.select()).all()
    recorded = Counter(REQUEST_OF[row.step] for row in rows if row.outcome == "ok")
    assert recorded == done
    assert set(REQUEST_OF.values()) == set(done), "a kind of write is missing from this story"
    levels = {(row.step.endswith("_block"), row.level) for row in rows}
    assert levels == {(True, ""), (False, "busy/busy")}, "only mirrors have a level of detail"
    s.store.audit.seal("run", s.clock.now())
    assert s.store.audit.verify() == []
