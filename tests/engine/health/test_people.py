"""People are told of what concerns their own calendar: seldom, and of no appointment."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from calendar_sync.config.notifiers import SMTP
from calendar_sync.config.settings import Notify, parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, Platform
from calendar_sync.insight.health.render import Message
from calendar_sync.orchestration import people
from calendar_sync.orchestration.people import tell_people
from calendar_sync.state import tables as t
from tests.engine.cycle import conftest
from tests.engine.cycle.stage import HOUR, Stage, mail
from tests.engine.health.conftest import RECORDER

Make = Callable[..., Stage]
stage = conftest.stage
ON = {"notify": {"to": ["admin@example.org"], "to_people": True}}
VISITS = {"notify": {"to_people": ["visit_over_busy"]}}
HALF = timedelta(minutes=30)


class Post:
    """What was sent, to whom; nothing can be sent while it is `closed`."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[str, ...], str]] = []
        self.closed = False

    def send(self, notify: Notify, message: Message) -> str:
        assert notify.filled["to"] == list(notify.to)
        assert not {"cc", "bcc"} & notify.filled.keys()
        if self.closed:
            return "SMTPException"
        self.sent.append((notify.to, message.text))
        return ""


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    made = Post()
    monkeypatch.setattr(people, "send", made.send)
    return made


def told(s: Stage) -> list[str]:
    return tell_people(s.store, s.platform, s.clock.now())


def edit_of(s: Stage, name: str) -> None:
    """Somebody moves the mirror of their visit, and it is put back."""
    [mirror] = s.mirrors(name)
    s.calendar.move_event(mail(name), mirror["id"], s.at(1, 20), s.at(1, 21))
    s.later(again=2)


def test_an_edit_that_was_put_back_is_told_once_and_names_no_appointment(
    stage: Make, post: Post
) -> None:
    s = stage("dana", "ruben", settings=ON)
    for name in s.ids:
        s.visit(name)
    s.run()
    assert told(s) == []
    edit_of(s, "dana")
    assert told(s) == [s.ids["dana"]]
    [(to, text)] = post.sent
    assert to == (mail("dana"),)
    assert "You changed 1 synced event in your calendar" in text
    assert not [canary for canary in s.sandbox.canaries if canary in text]
    assert told(s) == []
    edit_of(s, "dana")
    assert told(s) == []
    s.clock.advance(hours=25)
    assert told(s) == []
    edit_of(s, "dana")
    assert told(s) == [s.ids["dana"]]


def test_lost_access_is_told_once_for_as_long_as_it_lasts(stage: Make, post: Post) -> None:
    s = stage("dana", "ruben", settings=ON)
    s.run()
    s.calendar.revoke(mail("ruben"))
    s.later(minutes=30, again=5)
    assert told(s) == [s.ids["ruben"]]
    assert "Your calendar is not synced at the moment." in post.sent[0][1]
    s.later(hours=13, again=4)
    assert told(s) == []
    s.calendar.restore(mail("ruben"))
    s.later(hours=13, again=2)
    assert told(s) == []
    s.calendar.revoke(mail("ruben"))
    s.later(minutes=30, again=8)
    assert told(s) == [s.ids["ruben"]]


def test_what_could_not_be_sent_is_sent_later(stage: Make, post: Post) -> None:
    s = stage(settings=ON)
    s.visit()
    s.run()
    edit_of(s, "dana")
    post.closed = True
    assert told(s) == []
    post.closed = False
    assert told(s) == [s.ids["dana"]]


def test_nobody_is_told_unless_that_is_wanted(stage: Make, post: Post) -> None:
    s = stage(settings={"notify": {"to": ["admin@example.org"]}})
    s.visit()
    s.run()
    edit_of(s, "dana")
    assert told(s) == []
    assert post.sent == []


def meet(s: Stage, days: int, hour: int) -> str:
    """An event that begins half an hour after the full hour."""
    start = s.at(days, hour) + HALF
    return s.calendar.plan(mail("dana"), start, start + HOUR, "Dentist")


def also_elsewhere(s: Stage) -> None:
    """The same mailbox shows it on another calendar system, too."""
    other = {Platform.GOOGLE: Platform.MICROSOFT, Platform.MICROSOFT: Platform.GOOGLE}[s.platform]
    with s.store.database.write() as connection:
        mirrors = select(t.link).where(t.link.c.kind == "mirror")
        for row in connection.execute(mirrors).mappings().all():
            copy = {name: value for name, value in row.items() if name != "id"}
            connection.execute(insert(t.link), {**copy, "platform": other.value})


def test_a_visit_over_busy_time_is_told_once_with_its_time_alone(
    stage: Make, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/x/")
    s = stage("dana", "ruben", settings=VISITS)
    s.visit(days=2, hour=9)
    s.visit("ruben", days=2, hour=9)
    event = meet(s, 2, 9)
    s.run()
    also_elsewhere(s)
    assert told(s) == [s.ids["dana"]]
    [(to, text)] = post.sent
    assert to == (mail("dana"),)
    assert "1 visit is booked over busy time in your calendar." in text
    assert f"{s.at(2, 9):%a %d %b %Y, %H:%M} to 10:00 (US/Eastern)" in text
    assert text.count(" to 10:00 ") == 1
    assert "https://airflow.example.org/x/calendar-sync/mine" in text
    assert not [canary for canary in [*s.sandbox.canaries, "Dentist"] if canary in text]
    s.visit(days=4, hour=9)
    meet(s, 4, 9)
    s.later()
    assert told(s) == [], "one a day"
    s.later(hours=25)
    assert told(s) == [s.ids["dana"]]
    assert "1 visit is booked" in post.sent[1][1]
    assert f"{s.at(3, 9):%d %b}" in post.sent[1][1]
    s.calendar.move_event(mail("dana"), event, s.at(6, 15), s.at(6, 16))
    s.later(hours=25)
    assert told(s) == []
    s.later(hours=25)
    assert told(s) == []


def test_of_a_visit_that_is_not_in_the_calendar_no_time_is_told(stage: Make, post: Post) -> None:
    s = stage(settings=VISITS)
    s.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    s.visit(days=2, hour=9)
    meet(s, 2, 9)
    s.run()
    assert told(s) == [s.ids["dana"]]
    [(_, text)] = post.sent
    assert "1 visit is booked" in text
    assert f"{s.at(2, 9):%d %b}" not in text


def test_people_are_told_of_the_kinds_that_are_wanted(stage: Make, post: Post) -> None:
    s = stage(settings={"notify": {"to_people": ["not_synced", "put_back"]}})
    s.visit(days=2, hour=9)
    meet(s, 2, 9)
    s.run()
    assert told(s) == []
    s.document = VISITS
    s.visit()
    s.later()
    edit_of_any = next(m for m in s.mirrors() if m["id"])
    s.calendar.move_event(mail("dana"), edit_of_any["id"], s.at(5, 20), s.at(5, 21))
    s.later(again=2)
    assert told(s) == [s.ids["dana"]]
    assert "You changed" not in post.sent[0][1]


def test_yes_and_no_are_still_understood() -> None:
    def kinds(value: object) -> tuple[str, ...]:
        return parse({"notify": {"to_people": value}}).notify.to_people

    assert kinds(True) == ("not_synced", "put_back")
    assert kinds(False) == kinds([]) == ()
    with pytest.raises(ConfigurationError, match="to_people"):
        kinds(["everything"])


def test_nobody_gets_a_copy_and_only_mail_is_possible() -> None:
    copies = {"cc": ["a@example.org"], "bcc": ["b@example.org"], "subject": "{subject}"}
    notify = parse(
        {"notify": {"to_people": True, "arguments": copies | {"from_email": "sync@example.org"}}}
    ).notify
    alone = notify.only_to("dana@example.org")
    assert alone.filled == {
        "to": ["dana@example.org"],
        "subject": "{subject}",
        "html_content": "{html}",
        "from_email": "sync@example.org",
    }
    assert notify.notifier == SMTP
    with pytest.raises(ConfigurationError, match="to_people"):
        parse({"notify": {"to_people": True, "notifier": RECORDER}})
