"""What `CalendarService` promises, asserted once and kept by every adapter."""

import pytest

from calendar_sync.core.errors import NotFound, OutcomeUnknown, TransientError, UserUnavailable
from calendar_sync.core.model import CalendarEntry
from tests.engine.platforms.test_contract import DAY, ME, Desk, desk

__all__ = ["desk"]

OTHER = "ruben@example.org"


def listed(desk: Desk) -> list[CalendarEntry]:
    found: list[CalendarEntry] = desk.ask(lambda p: p.calendars.listed(ME))
    return found


def made(desk: Desk, name: str = "Visits") -> str:
    return str(desk.ask(lambda p: p.calendars.make(ME, name)))


def is_empty(desk: Desk, calendar: str) -> bool:
    return bool(desk.ask(lambda p: p.calendars.is_empty(ME, calendar)))


def remove(desk: Desk, calendar: str) -> None:
    desk.ask(lambda p: p.calendars.remove(ME, calendar))


def test_one_that_is_made_is_listed_until_it_is_removed(desk: Desk) -> None:
    [main] = listed(desk)
    assert main.owned
    calendar = made(desk)
    assert listed(desk) == [main, CalendarEntry(calendar, "Visits", owned=True)]
    remove(desk, calendar)
    remove(desk, calendar)
    assert listed(desk) == [main]
    with pytest.raises(NotFound):
        is_empty(desk, calendar)


def test_a_long_list_is_read_to_its_end(desk: Desk) -> None:
    for number in range(310):
        desk.people.add_calendar(ME, f"c{number}")
    assert len(listed(desk)) == 311


def test_one_that_is_shared_is_not_owned(desk: Desk) -> None:
    desk.people.add_account(OTHER, "America/New_York")
    theirs = desk.people.add_calendar(OTHER, "Visits").id
    desk.people.share_calendar(OTHER, theirs, ME)
    assert [entry.owned for entry in listed(desk)] == [True, False]


@pytest.mark.parametrize("days", [-900, 0, 900])
def test_an_event_of_any_time_is_in_it(desk: Desk, days: int) -> None:
    calendar = made(desk)
    assert is_empty(desk, calendar)
    event = desk.people.plan(ME, desk.at(days), desk.at(days) + DAY, "x", calendar=calendar)
    assert not is_empty(desk, calendar)
    desk.people.delete_event(ME, event, calendar=calendar)
    assert is_empty(desk, calendar)


def test_a_lost_answer_says_that_it_may_be_there(desk: Desk) -> None:
    for kind in ("reset_after", "timeout_before", "status"):
        desk.fault(kind, "POST", "/calendars$", code=503)
        with pytest.raises(OutcomeUnknown):
            made(desk, kind)


@pytest.mark.parametrize("kind", ["truncated_json", "html", "empty_200", "status"])
def test_a_list_that_cannot_be_read_is_tried_again(desk: Desk, kind: str) -> None:
    desk.fault(kind, "GET", "/calendar(s|List)$", times=None, code=500)
    with pytest.raises(TransientError):
        listed(desk)


def test_a_mailbox_that_is_closed_is_named(desk: Desk) -> None:
    calendar = made(desk)
    desk.people.revoke(ME)
    for ask in (listed, made, lambda d: is_empty(d, calendar), lambda d: remove(d, calendar)):
        with pytest.raises(UserUnavailable) as caught:
            ask(desk)
        assert caught.value.detail == ME
