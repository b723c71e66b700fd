"""People are told of what concerns their own calendar: seldom, and of no appointment."""

from collections.abc import Callable

import pytest

from calendar_sync.config.notifiers import SMTP
from calendar_sync.config.settings import Notify, parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.insight.health.render import Message
from calendar_sync.orchestration import people
from calendar_sync.orchestration.people import tell_people
from tests.engine.cycle import conftest
from tests.engine.cycle.stage import Stage, mail
from tests.engine.health.conftest import RECORDER

Make = Callable[..., Stage]
stage = conftest.stage
ON = {"notify": {"to": ["admin@example.org"], "to_people": True}}


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
