"""Messages go through any of Airflow's notifiers, and never break a run."""

import importlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import BaseNotifier
from sqlalchemy import insert

from calendar_sync.config.notifiers import SMTP, VARIABLE
from calendar_sync.config.settings import Notify, Settings, parse
from calendar_sync.core.codes import GoogleCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.insight.health.render import Message
from calendar_sync.orchestration.alarms import ALL_USERS, EVERYBODY, raise_alarms
from calendar_sync.orchestration.notify import NO_RECIPIENTS, send
from calendar_sync.state import tables
from calendar_sync.state.runs import LOOKED_AT
from tests.engine.cycle.stage import HOUR, Stage, mail

HERE = "tests.engine.health.test_notify"
MESSAGE = Message("subject {html}", "<p>{text} {{ 7*7 }}</p>", "text")


class Recorder(BaseNotifier):
    """A notifier of an organisation's own."""

    sent: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def notify(self, context: Any) -> None:
        if self.arguments.get("fail"):
            raise RuntimeError("the server said: secret-7731")
        self.sent.append(self.arguments)


class Impostor:
    """Not a notifier, however it behaves."""

    def __init__(self, **arguments: Any) -> None:
        raise AssertionError("made")


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    Recorder.sent.clear()


def by(name: str = "Recorder", **arguments: Any) -> Notify:
    return Notify(notifier=f"{HERE}.{name}", arguments=arguments or {"text": "{text}"})


def test_the_message_takes_the_place_of_its_names_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = {"arguments": {"c": {"d": "{html}"}, "e": 7}, "from_settings": ["a", "b"]}
    monkeypatch.setenv(VARIABLE, json.dumps({f"{HERE}.Recorder": fixed}))
    notify = by(a="{subject}", b=["x {text} y {subject}"])
    assert send(notify, MESSAGE) == ""
    assert Recorder.sent == [
        {
            "a": "subject {html}",
            "b": ["x text y subject {html}"],
            "c": {"d": "<p>{text} {{ 7*7 }}</p>"},
            "e": 7,
        }
    ]


def test_no_recipients_is_no_failure() -> None:
    assert send(Notify(), MESSAGE) == NO_RECIPIENTS


def test_a_failure_tells_its_type_only(caplog: pytest.LogCaptureFixture) -> None:
    assert send(by(fail="yes"), MESSAGE) == "RuntimeError"
    assert "7731" not in caplog.text


@pytest.mark.parametrize("name", ["Nobody", "Impostor", "MESSAGE"])
def test_only_notifiers_are_made(name: str) -> None:
    assert send(by(name), MESSAGE).startswith("configuration: notify.notifier")


def test_mail_is_the_default_and_takes_addresses() -> None:
    notify = parse({"notify": {"to": ["dana@example.org"]}}).notify
    assert notify.configured
    assert notify.filled == {
        "to": ["dana@example.org"],
        "subject": "{subject}",
        "html_content": "{html}",
    }
    assert not Notify().configured


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"to": ["dana"]}, "not an e-mail address"),
        ({"to": ["a@b.c\r\nBcc: d@e.f"]}, "not an e-mail address"),
        ({"to": ["a@b.c"], "notifier": f"{HERE}.Recorder"}, "for other notifiers"),
        ({"to": ["a@b.c"], "notifier": "a.b"}, "a.b is not allowed"),
        ({"notifier": "os; import x"}, "notify.notifier"),
        ({"notifier": "system"}, "notify.notifier"),
    ],
)
def test_wrong_settings_are_refused(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse({"notify": document})


# --- what settings may not name -------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": ["/opt/airflow/airflow.cfg"]},
        {"template": "/proc/self/environ"},
        {"smtp_conn_id": "welkin_default"},
        {"custom_headers": {"X": "y"}},
        {"mime_charset": "utf-8"},
        {"auth_type": "oauth2"},
        {"context": {}},
        {"subject": "a\nBcc: d@e.f"},
        {"cc": "a@b.c, d@e.f"},
        {"cc": ["a@b.c", 7]},
        {"bcc": {"a": "b"}},
        {"html_content": None},
        {"to": ["a@b.c"] * 101},
        {"html_content": "x" * 10_001},
        {7: "x"},
    ],
    ids=str,
)
def test_settings_name_no_file_connection_or_header(arguments: dict[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"notify\.arguments"):
        parse({"notify": {"to": ["a@b.c"], "arguments": arguments}})


def test_mail_takes_copies_a_sender_and_texts() -> None:
    more = {"cc": ["b@b.c"], "from_email": "c@b.c", "subject": "Sync: {subject}"}
    found = parse({"notify": {"to": ["a@b.c"], "arguments": more}}).notify.filled
    assert found == {
        "to": ["a@b.c"],
        "cc": ("b@b.c",),
        "from_email": "c@b.c",
        "subject": "Sync: {subject}",
        "html_content": "{html}",
    }


@pytest.mark.parametrize("name", ["subprocess.Popen", "os.system", "airflow.sdk.BaseNotifier"])
def test_settings_name_no_class_that_the_deployment_does_not(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not allowed"):
        parse({"notify": {"notifier": name}})


def test_what_the_deployment_fixes_is_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"arguments": {"channel": "#ours"}, "from_settings": ["text", "channel"]}
    monkeypatch.setenv(VARIABLE, json.dumps({f"{HERE}.Recorder": one}))
    assert send(by(text="{subject}", channel="#theirs"), MESSAGE) == ""
    assert Recorder.sent == [{"text": "subject {html}", "channel": "#ours"}]


def test_a_notifier_that_needs_nothing_more_is_chosen_by_its_name() -> None:
    assert Notify(notifier=f"{HERE}.Recorder").configured
    assert not Notify().configured


@pytest.mark.parametrize("text", ["{", "[]", '{"a.B": 7}', '{"a.B": {"x": 1}}', "[" * 100_000])
def test_a_deployment_that_cannot_be_read_allows_nothing(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        parse({"notify": {"to": ["a@b.c"], "notifier": SMTP}})
    assert VARIABLE in send(Notify(to=("a@b.c",)), MESSAGE)


def stored(s: Stage, **notify: Any) -> Settings:
    """What an earlier version has accepted, as it is read now."""
    document = Settings().model_dump(mode="json")
    document["notify"] |= notify
    values = {"created_at": s.clock.now(), "author": "x", "document": document, "blocks_hash": "x"}
    with s.store.database.write() as connection:
        connection.execute(insert(tables.settings_revision).values(values))
    return s.store.config.revision().settings


def test_stored_arguments_that_name_files_stop_the_mail_and_not_the_sync(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "airflow.cfg"
    secret.write_text("fernet_key = secret-7731")
    s = Stage("dana")
    found = stored(s, to=["a@b.c"], arguments={"files": [str(secret)], "x": {"y": 1}})
    assert send(found.notify, MESSAGE).startswith("configuration: notify: files cannot come from")
    assert "files cannot come from" in caplog.text
    s.run()
    with pytest.raises(ConfigurationError, match="notify: files"):
        s.store.config.save_settings(found, "x", s.clock.now())


def test_a_stored_notifier_that_the_deployment_does_not_name_is_never_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s = Stage("dana")
    found = stored(s, notifier="antigravity.Notifier", arguments={"text": ["a", 7]})
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(name))
    assert "antigravity.Notifier is not allowed" in send(found.notify, MESSAGE)


# --- alarms ---------------------------------------------------------------------


def stage(**more: Any) -> Stage:
    notify = {"notifier": f"{HERE}.Recorder", "arguments": {"s": "{subject}", "t": "{text}"}}
    s = Stage("dana", "ruben", settings={"notify": notify | more})
    s.run()
    return s


def make_late(s: Stage, name: str) -> None:
    with s.store.database.write() as connection:
        s.store.marks.mark(connection, [(s.ids[name], s.platform)], s.clock.now())


def look(s: Stage, **step: float) -> list[str]:
    """Time goes by with runs that find nothing new; returns who was told of."""
    s.clock.advance(**step)
    now = s.clock.now()
    s.store.runs.set_facts(s.platform.value, **{LOOKED_AT: now.isoformat()})
    everybody = list(s.store.marks.all(s.platform))
    with s.store.database.write() as connection:
        s.store.marks.polled(connection, everybody, [], now=now)
    return [alarm.who for alarm in raise_alarms(s.store, s.platform, now)]


def test_an_alert_names_a_late_user_once_and_again_after_hours() -> None:
    s = stage()
    make_late(s, "dana")
    assert look(s, minutes=4) == []
    assert look(s, minutes=2) == [mail("dana")]
    assert look(s, minutes=1) == []
    make_late(s, "ruben")
    assert look(s, minutes=6) == [mail("ruben")]
    assert look(s, hours=6) == [mail("dana"), mail("ruben")]
    assert [sent["s"].split(" (")[0] for sent in Recorder.sent] == [
        f"Calendar sync: google is late for {mail('dana')}",
        f"Calendar sync: google is late for {mail('ruben')}",
        "Calendar sync: google is late for 2 users",
    ]


def test_an_alert_names_a_user_again_who_was_up_to_date_in_between() -> None:
    s = stage()
    make_late(s, "dana")
    assert look(s, minutes=6) == [mail("dana")]
    s.run()
    assert look(s, minutes=1) == []
    make_late(s, "dana")
    assert look(s, minutes=6) == [mail("dana")]


def test_a_message_that_did_not_go_out_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    s = stage()
    make_late(s, "dana")
    with monkeypatch.context() as broken:
        broken.setattr(Recorder, "notify", lambda self, context: 1 / 0)
        assert look(s, minutes=6) == []
    assert look(s, minutes=1) == [mail("dana")]


def test_a_platform_that_stands_still_is_one_alarm() -> None:
    s = stage()
    s.store.runs.set_fault(Platform.GOOGLE, GoogleCode.UNAUTHORIZED_CLIENT, s.clock.now())
    make_late(s, "dana")
    assert look(s, minutes=6) == [ALL_USERS]
    assert "google_unauthorized_client" in Recorder.sent[0]["t"]


def test_not_having_looked_for_long_is_an_alarm_too() -> None:
    s = stage()
    s.clock.advance(minutes=6)
    assert [alarm.key for alarm in raise_alarms(s.store, s.platform, s.clock.now())] == [EVERYBODY]
    assert "the sync is not running" in Recorder.sent[0]["t"]


def test_a_first_fill_is_not_late() -> None:
    s = stage()
    s.hire("mira")
    s.remap()
    assert look(s, minutes=30) == []


@pytest.mark.parametrize("more", [{"alerts": False}, {"notifier": SMTP, "arguments": {}}])
def test_no_alarms_for_who_wants_none(more: dict[str, Any]) -> None:
    s = stage(**more)
    make_late(s, "dana")
    assert look(s, minutes=30) == []
    assert Recorder.sent == []
    assert timedelta(hours=1) == HOUR
