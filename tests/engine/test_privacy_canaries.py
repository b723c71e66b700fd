"""Canaries: made-up patient data that must appear nowhere but where the level allows it."""

import io
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.insight.status import status
from calendar_sync.sync.runner import store_run
from tests.engine.cycle.stage import Stage, mail

BAA = {"by": "Dana", "on": "2026-01-01"}
EVERYTHING = (
    "{patient_first_name} {patient_last_name} {patient_initials} {encounter_type} {mode} {location}"
)
FULL = {"level": "full", "template": EVERYTHING}
WHERE: dict[str, Any] = {"places": {"Room *": "Elm Street 1"}, "link_hosts": ["*.zoom.us"]}
LEVELS: dict[str, dict[str, Any]] = {
    "busy": WHERE,
    "type": {"title": {"level": "type"}, "description": {"level": "type"}, **WHERE},
    "full": {"title": FULL, "description": FULL, "baa_confirmed": BAA, **WHERE},
}
PRIVATE = "CANARY-PRIVATE-0001"
FORMS = (
    "at the home of {first} {last}",
    "https://us02.zoom.us/j/1?name={first}",
    "https://us02.zoom.us/{last}",
    "Room 4 with {first}",
)


@pytest.fixture(params=LEVELS, name="stage")
def fixture_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage("dana", "ruben", settings={"mirror_content": LEVELS[request.param]})
    made.sandbox.canaries.add(PRIVATE)
    made.level = request.param  # type: ignore[attr-defined]
    yield made
    made.database.close()


def names(stage: Stage) -> set[str]:
    return {
        name for patient in stage.welkin.patients.values() for name in (patient.first, patient.last)
    }


def place(stage: Stage, visit: Any, form: str) -> None:
    """Somebody writes into Welkin where a visit is, and whom it is with."""
    patient = stage.welkin.patients[visit.patient_id]
    text = form.format(first=patient.first, last=patient.last)
    stage.welkin.change_event(visit.event_id, additional_info={"location": text})


def live_through(stage: Stage) -> list[str]:
    """A week of work in which much goes wrong; returns the texts of all that was raised."""
    raised: list[str] = []

    def sync(**options: Any) -> None:
        try:
            result = stage.later(hours=1, **options)
        except SyncError as error:
            raised.append("".join(traceback.format_exception(error)) + repr(error))
            return
        raised.extend(repr(outcome) + outcome.label for outcome in result.outcomes.values())
        rows = [outcome.row for outcome in result.outcomes.values()]
        now = stage.clock.now()
        raised.append(json.dumps(rows))
        raised.append(store_run(stage.store, Platform.GOOGLE, f"r{len(raised)}", now, rows, now))

    visits = [stage.visit("dana", days=n, hour=9) for n in range(1, 5)]
    stage.meeting("dana", hour=12, patient_ids=[visits[0].patient_id])
    for visit, form in zip(visits, FORMS, strict=True):
        place(stage, visit, form)
    stage.visit("ruben", days=2)
    event = stage.busy("dana", summary=PRIVATE, description=PRIVATE, location=PRIVATE)
    sync()
    stage.google.patch_event(mail("dana"), stage.mirrors("dana")[0]["id"], summary=PRIVATE)
    stage.google.delete_event(mail("dana"), stage.mirrors("dana")[1]["id"])
    stage.welkin.cancel_encounter(visits[2].id)
    stage.welkin.touch_encounter_notes(visits[3].id)
    sync()
    message = f"Refused: {visits[0].title} of {min(names(stage))}"
    for service, code in (("google", 400), ("google", 500), ("google", 403), ("welkin", 400)):
        stage.fault(
            service, "status", "*", "events", code=code, reason="bad", message=message, times=3
        )
        body = [{"errorCode": message, "message": message}]
        stage.fault("welkin", "status", "*", "events", code=409, body=body, times=2)
        stage.move(visits[0].event_id, 6, 10)
        stage.google.move_event(mail("dana"), event, stage.at(5, 9), stage.at(5, 10))
        sync()
        stage.sandbox.faults.clear()
    for kind in ("truncated_json", "html", "reset_after", "empty_200"):
        for service in ("google", "welkin"):
            stage.fault(service, kind, "*", "events", times=2)
        stage.move(visits[1].event_id, 7, 10)
        sync()
        stage.sandbox.faults.clear()
    stage.google.revoke(mail("ruben"))
    stage.welkin.delete_event(visits[3].event_id)
    sync()
    stage.remap("dana")
    stage.later(days=1)
    raised.append(repr(status(stage.store, stage.clock.now())))
    return raised


def dump(stage: Stage) -> str:
    """Everything that the state database holds."""
    out = io.StringIO()
    with stage.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        for line in raw.iterdump():
            out.write(line)
    return out.getvalue()


def test_no_canary_leaves_by_database_log_output_error_or_address(
    stage: Stage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    asked: list[str] = []
    inner = stage.transport.handle_async_request

    async def watch(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return await inner(request)

    stage.transport.handle_async_request = watch  # type: ignore[method-assign]
    raised = live_through(stage)
    printed = capfd.readouterr()
    texts = {
        "database": dump(stage),
        "log": caplog.text,
        "output": printed.out + printed.err,
        "errors": "\n".join(raised),
        "addresses": "\n".join(asked),
    }
    assert len(texts["database"]) > 10_000
    assert len(raised) > 10
    assert len(asked) > 100
    for place, text in texts.items():
        found = [canary for canary in stage.sandbox.canaries if canary in text]
        assert found == [], place


def test_mirrors_show_what_their_level_allows_and_no_more(stage: Stage) -> None:
    level = stage.level  # type: ignore[attr-defined]
    for hour, form in zip((9, 10, 11, 12), FORMS, strict=True):
        place(stage, stage.visit("dana", hour=hour), form)
    stage.meeting("dana", hour=13)
    stage.run()
    text = json.dumps(stage.google.events_of(mail("dana")))
    found = {canary for canary in stage.sandbox.canaries if canary in text}
    if level == "full":
        assert found == names(stage)
    else:
        assert found == set()
        assert {mirror["summary"] for mirror in stage.mirrors()} == {
            "Busy" if level == "busy" else "Appointment"
        }
    # The marker that others may read is opaque.
    for mirror in stage.mirrors():
        marker = mirror["extendedProperties"]["private"]["calendarSync"]
        assert all(visit.id not in marker for visit in stage.welkin.encounters.values())


def test_nothing_of_a_private_event_enters_welkin(stage: Stage) -> None:
    stage.busy("dana", summary=PRIVATE, description=PRIVATE, location=PRIVATE)
    stage.run()
    assert len(stage.blocks()) == 1
    for block in stage.blocks():
        assert PRIVATE not in repr(
            [block.title, block.description, block.additional_info, block.external_id]
        )


def test_secrets_are_nowhere_in_the_state_database() -> None:
    stage = Stage()
    stage.visit()
    stage.run()
    text = dump(stage)
    assert stage.sandbox.client_secret not in text
    assert "PRIVATE KEY" not in text
    tokens = [*stage.google.delegation.grants, *stage.sandbox.welkin_access.tokens]
    assert len(tokens) == 2
    assert not [token for token in tokens if token in text]
    stage.database.close()
