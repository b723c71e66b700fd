"""How each step stands, computed from what is there."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from calendar_sync.core.codes import GoogleCode, MicrosoftCode, SetupCode, WelkinCode
from calendar_sync.core.model import Finding, Platform
from calendar_sync.operations.setup import StepStanding, There, next_step, steps
from calendar_sync.operations.setup.steps import Connected, Counted, Walked, document
from calendar_sync.operations.setup.steps import Tested as Trial
from calendar_sync.state.place import Place

NOW = datetime(2026, 11, 29, tzinfo=UTC)
WORKS = Connected("configured", tested=Trial(NOW))
KEYS = [
    "prepare",
    "welkin",
    "calendars",
    "privacy",
    "people",
    "dry_run",
    "selftest",
    "switch_on",
]
RUN = Counted(NOW, 3, 5, 2, {"create_mirror": 7, "adopt_block": 1, "delete_mirror": 2}, {})
FULL = There(
    Place.READY,
    key=Connected("configured"),
    welkin=WORKS,
    calendars={Platform.GOOGLE: WORKS, Platform.MICROSOFT: Connected()},
    settings=3,
    level="busy/busy",
    mapping=5,
    mapped={Platform.GOOGLE: 2, Platform.MICROSOFT: 0},
    dry_run=RUN,
    walked=Walked(NOW, "dana@example.org", "google", passed=True),
    paused={
        "google_calendar_sync": False,
        "microsoft_calendar_sync": True,
        "sync_health": False,
        "calendar_sync_maintenance": False,
    },
)


def standing(there: There) -> dict[str, StepStanding]:
    return {step.key: step.standing for step in steps(there)}


def step_of(key: str, **changes: Any) -> Any:
    return next(step for step in steps(replace(FULL, **changes)) if step.key == key)


def test_an_empty_installation_begins_with_the_first_and_knows_no_other() -> None:
    found = steps(There(Place.MISSING))
    assert [step.key for step in found] == KEYS
    assert [step.standing for step in found] == [StepStanding.TODO] + [StepStanding.LATER] * 7
    assert all(step.needs and step.who and step.title for step in found)
    first = next_step(found)
    assert first is not None
    assert first.key == "prepare"


def test_all_done_leaves_nothing() -> None:
    assert set(standing(FULL).values()) == {StepStanding.DONE}
    assert next_step(steps(FULL)) is None
    # Microsoft's DAG is off: nobody is on it.
    assert "microsoft" not in step_of("switch_on").needs


def test_after_each_step_the_next_one_is_shown() -> None:
    off = dict.fromkeys(FULL.paused, True)
    there = There(Place.READY, key=Connected("configured"), paused=off)
    seen = []
    for name in ("welkin", "calendars", "settings", "mapping", "dry_run", "walked", "paused"):
        upcoming = next_step(steps(there))
        assert upcoming is not None
        seen.append(upcoming.key)
        there = replace(there, **{name: getattr(FULL, name)})
        if name == "mapping":
            there = replace(there, mapped=FULL.mapped)
    assert seen == KEYS[1:]
    assert next_step(steps(there)) is None


@pytest.mark.parametrize(
    ("place", "key", "expected", "code"),
    [
        (Place.MISSING, Connected(), StepStanding.TODO, ""),
        (Place.EMPTY, Connected(), StepStanding.TODO, ""),
        # Made before: this is another place, or the database was lost. A person decides.
        (Place.MISSING, Connected("configured"), StepStanding.FAULT, "state_missing"),
        (Place.OTHER_VERSION, Connected("configured"), StepStanding.FAULT, "state_other_version"),
        (Place.UNREACHABLE, Connected(), StepStanding.FAULT, "state_unreachable"),
        (Place.READY, Connected(), StepStanding.TODO, ""),
        (Place.READY, Connected("incomplete", "x"), StepStanding.FAULT, "configuration"),
    ],
)
def test_database_and_key(place: Place, key: Connected, expected: StepStanding, code: str) -> None:
    first = steps(There(place, key=key))[0]
    assert first.standing is expected
    assert [fault.code for fault in first.faults] == ([code] if code else [])
    assert all(fault.advice and fault.whose for fault in first.faults)


def test_a_connection_is_done_when_what_is_stored_now_was_accepted() -> None:
    untested = Connected("configured")
    refused = Connected("configured", tested=Trial(NOW, (Finding.of(WelkinCode.UNAUTHORIZED),)))
    assert step_of("welkin", welkin=Connected()).standing is StepStanding.TODO
    assert step_of("welkin", welkin=untested).standing is StepStanding.TODO
    step = step_of("welkin", welkin=refused)
    assert step.standing is StepStanding.FAULT
    assert step.faults[0].whose == "the administrator of the sync"
    incomplete = step_of("welkin", welkin=Connected("incomplete", "extra.tenant is missing"))
    assert incomplete.faults[0].advice == "extra.tenant is missing"


def test_one_mailbox_that_cannot_be_opened_does_not_stop_the_set_up() -> None:
    for fault, shown in (
        (Finding.of(GoogleCode.ACCOUNT_REFUSED, account="ada@example.org"), 1),
        (Finding.of(SetupCode.NO_MAILBOX_TRIED), 0),
    ):
        one = Connected("configured", tested=Trial(NOW, (fault,)))
        step = step_of("calendars", calendars={Platform.GOOGLE: one})
        assert step.standing is StepStanding.DONE
        assert len(step.faults) == shown


def test_one_calendar_system_is_enough_and_a_faulty_second_one_is_reported() -> None:
    bad = Connected("configured", tested=Trial(NOW, (Finding.of(MicrosoftCode.NO_CONSENT),)))
    both = {Platform.GOOGLE: WORKS, Platform.MICROSOFT: bad}
    step = step_of("calendars", calendars=both)
    assert step.standing is StepStanding.FAULT
    assert [fault.code for fault in step.faults] == ["microsoft_no_consent"]
    missing = step_of("calendars", mapped={Platform.MICROSOFT: 1})
    assert missing.standing is StepStanding.TODO
    assert "Microsoft 365, which is not connected" in missing.said


def test_a_preview_counts_until_settings_or_mapping_change() -> None:
    said = step_of("dry_run").said
    assert said == (
        "2 accounts: 7 events for calendars, 1 busy block for Welkin, and 2 other changes."
    )
    for change in ({"settings": 4}, {"mapping": 6}):
        assert step_of("dry_run", **change).standing is StepStanding.TODO
    failed = replace(RUN, failed={f"u{n}@example.org": "google_account_refused" for n in range(9)})
    step = step_of("dry_run", dry_run=failed)
    assert step.standing is StepStanding.FAULT
    assert (len(step.faults), step.faults[0].account) == (5, "u0@example.org")


def test_a_failed_test_says_where_and_what_to_do() -> None:
    failed = Walked(NOW, "a@example.org", "google", False, "its mirror", "not_in_time", "look")
    step = step_of("selftest", walked=failed)
    assert step.standing is StepStanding.FAULT
    assert "its mirror" in step.said
    assert (step.faults[0].code, step.faults[0].advice) == ("not_in_time", "look")
    interrupted = step_of("selftest", walked=replace(failed, step="", code=""))
    assert interrupted.standing is StepStanding.FAULT
    assert interrupted.faults == ()


def test_the_dags_in_use_are_switched_on() -> None:
    off = step_of("switch_on", paused={**FULL.paused, "sync_health": True})
    assert (off.standing, off.said) == (StepStanding.TODO, "Switched off: sync_health.")
    unknown = step_of("switch_on", paused={**FULL.paused, "google_calendar_sync": None})
    assert unknown.standing is StepStanding.FAULT
    assert unknown.faults[0].code == "dag_unknown"
    assert step_of("switch_on", paused={}).standing is StepStanding.LATER


def test_as_json() -> None:
    rows = document(steps(There(Place.MISSING, key=Connected("configured"))))
    assert [row["standing"] for row in rows][:2] == ["fault", "not known yet"]
    assert rows[0]["faults"][0]["code"] == "state_missing"  # type: ignore[index]


def test_what_is_shown_beside_the_texts_is_said() -> None:
    said = step_of("privacy", level="type/busy+place+link").said
    assert said.endswith("descriptions nothing. Also shown: places of the practice, join links.")
