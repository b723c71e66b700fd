"""Which appointments a mailbox showed: rather one too many than one too few."""

from collections.abc import Callable
from typing import Any

from calendar_sync.insight.exposure import exposure
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
FULL: dict[str, Any] = {
    "mirror_content": {
        "title": {"level": "full", "template": "{patient_last_name}"},
        "baa_confirmed": {"by": "officer", "on": "2026-01-01"},
    }
}


def shown(s: Stage) -> list[tuple[tuple[str, ...], str]]:
    return [(entry.levels, entry.state) for entry in exposure(s.store, SELF)]


def test_a_creation_whose_answer_was_lost_counts_at_its_level(stage: Make) -> None:
    s = stage(settings=FULL)
    visit = s.visit()
    s.fault("google", "timeout_after", "POST", "/events")
    s.fault("google", "status", "POST", "/events", code=503, times=None)
    s.run(rounds=1)
    assert shown(s) == [(("full/busy",), "intent")]
    s.sandbox.faults.clear()
    s.welkin.cancel_event(visit.event_id)
    s.later(minutes=10)
    assert s.mirrors() == []
    assert shown(s) == [(("full/busy",), "deleted")]


def test_an_update_whose_answer_was_lost_counts_at_its_level(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    s.later()
    s.document = FULL
    s.fault("google", "timeout_after", "PATCH", "/events")
    s.fault("google", "status", "PATCH", "/events", code=503, times=4)
    s.later(rounds=1)
    s.document = {}
    s.later(again=2, minutes=10)
    assert {mirror["summary"] for mirror in s.mirrors()} == {"Busy"}
    [(levels, _)] = shown(s)
    assert set(levels) == {"busy/busy", "full/busy"}
