"""Webhooks of the Welkin double, as receivers have recorded them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.outbox import Answer, Notice
from calendar_sync_sandbox.welkin.automations import CALENDAR, CDT
from tests.contract.conftest import START, Caller, ManualClock

if TYPE_CHECKING:
    from calendar_sync_sandbox import Sandbox
    from calendar_sync_sandbox.welkin.automations import Automation

HOUR = timedelta(hours=1)
ADDRESS = "https://sync.example.org/push/welkin"


@pytest.fixture
def hook(sandbox: Sandbox) -> Automation:
    sandbox.welkin.automations.double = 0.0
    return sandbox.welkin.automations.make("sync", ADDRESS, {"X-Sync-Secret": "s3cret"})


@pytest.fixture
def host(sandbox: Sandbox) -> str:
    return sandbox.welkin.add_user("dana.hale@example.org").id


def taken(sandbox: Sandbox) -> list[Notice]:
    found = sandbox.outbox.due()
    for notice in found:
        sandbox.outbox.settle(notice, Answer(204))
    return found


def told(sandbox: Sandbox) -> list[str]:
    return [json.loads(notice.body)["eventSubtype"] for notice in taken(sandbox)]


def test_a_message_is_as_recorded(sandbox: Sandbox, hook: Automation, host: str) -> None:
    encounter = sandbox.welkin.book_encounter(host, START + HOUR, START + 2 * HOUR)
    (notice,) = taken(sandbox)
    assert notice.url == ADDRESS
    assert notice.headers["X-Sync-Secret"] == "s3cret"
    assert notice.headers["content-type"] == "application/json"
    assert notice.headers["user-agent"].startswith("Apache-HttpClient/")
    assert not any("signature" in name.lower() for name in notice.headers)
    assert json.loads(notice.body) == {
        "eventEntity": "CALENDAR",
        "eventSubtype": "CALENDAR_EVENT_CREATED",
        "instanceName": "live",
        "patientId": encounter.patient_id,
        "sourceId": encounter.event_id,
        "sourceName": "ENCOUNTER",
        "tenantName": "demo-care",
    }
    assert b": " not in notice.body


def test_an_event_without_patient_has_no_key_for_it(
    sandbox: Sandbox, hook: Automation, host: str
) -> None:
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    (notice,) = taken(sandbox)
    assert "patientId" not in json.loads(notice.body)


def test_every_change_is_notified_whoever_made_it(
    sandbox: Sandbox, hook: Automation, host: str
) -> None:
    welkin = sandbox.welkin
    event = welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    welkin.move_event(event.id, START + 2 * HOUR, START + 3 * HOUR)
    welkin.cancel_event(event.id)
    welkin.delete_event(event.id)
    assert told(sandbox) == [CALENDAR[0], CALENDAR[1], CALENDAR[1], CALENDAR[2]]
    encounter = welkin.book_encounter(host, START + HOUR, START + 2 * HOUR)
    # The event of an encounter is touched by whatever happens to the encounter.
    welkin.cancel_encounter(encounter.id)
    welkin.delete_encounter(encounter.id)
    assert told(sandbox) == [CALENDAR[0], CALENDAR[1], CALENDAR[1]]


def test_a_webhook_is_for_what_it_was_made_for(
    sandbox: Sandbox, hook: Automation, host: str
) -> None:
    sandbox.welkin.automations.make("sync", ADDRESS, subtypes=CDT)
    encounter = sandbox.welkin.book_encounter(host, START + HOUR, START + 2 * HOUR)
    sandbox.welkin.cancel_encounter(encounter.id)
    sandbox.welkin.delete_encounter(encounter.id)
    assert told(sandbox) == list(CDT)


def test_it_says_nothing_until_it_is_activated(
    sandbox: Sandbox, hook: Automation, host: str
) -> None:
    hook.active = False
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    assert taken(sandbox) == []


def test_parameters_are_added_to_the_address(sandbox: Sandbox, host: str) -> None:
    make = sandbox.welkin.automations.make
    make("one", ADDRESS, query={"a": "b c"})
    make("two", f"{ADDRESS}?x=y", query={"a": "b"})
    sandbox.welkin.automations.double = 0.0
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    assert [n.url for n in taken(sandbox)] == [f"{ADDRESS}?a=b+c", f"{ADDRESS}?x=y&a=b"]


def test_it_may_come_twice(
    sandbox: Sandbox, hook: Automation, host: str, clock: ManualClock
) -> None:
    sandbox.welkin.automations.double = 1.0
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    first, second = sandbox.outbox.waiting()
    assert (first.body, second.due - first.due) == (second.body, timedelta(milliseconds=19))
    assert len(taken(sandbox)) == 1
    clock.advance(1)
    assert len(taken(sandbox)) == 1


@pytest.mark.parametrize(("status", "tries"), [(503, 6), (0, 6), (400, 1), (404, 1)])
def test_it_is_sent_again_while_no_run_can_take_it(
    sandbox: Sandbox, hook: Automation, host: str, clock: ManualClock, status: int, tries: int
) -> None:
    sandbox.welkin.book_event(host, START + HOUR, START + 2 * HOUR)
    count = 0
    while sandbox.outbox.next_due() is not None:
        for notice in sandbox.outbox.due():
            sandbox.outbox.settle(notice, Answer(status))
            count += 1
        clock.advance(10)
    assert count == tries


def test_the_test_button_sends_placeholders(sandbox: Sandbox, hook: Automation) -> None:
    hook.active = False
    sandbox.welkin.automations.test("sync")
    (notice,) = taken(sandbox)
    assert json.loads(notice.body) == {
        "sourceId": "SOURCE_ID",
        "eventSubtype": "EVENT_SUBTYPE",
        "tenantName": "demo-care",
        "instanceName": "live",
        "patientId": "PATIENT_ID",
        "eventEntity": "EVENT_ENTITY",
        "sourceName": "SOURCE_NAME",
        "url": "URL",
    }


@pytest.mark.parametrize(
    "changes", [{"url": "http://sync.example.org/"}, {"url": "x"}, {"subtypes": ["NO_SUCH"]}]
)
def test_what_cannot_be_is_not_made(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"address|subtypes"):
        sandbox.welkin.automations.make(**{"name": "x", "url": ADDRESS, **changes})
    answer = Caller(sandbox, "/_sandbox")(
        "POST", "/welkin/automations", {"name": "x", "url": ADDRESS, **changes}
    )
    assert answer.status == 400
