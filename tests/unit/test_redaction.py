"""The net under the logs."""

import logging
import subprocess
import sys

import pytest

from calendar_sync.core.codes import GoogleCode
from calendar_sync.core.errors import BadItem, RateLimited
from calendar_sync.core.redaction import describe, install, redact

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nabc\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer ya29.a0Ae-_x/y=", "ya29"),
        ("authorization=bearer abc.def", "abc.def"),
        (f"token {JWT} rejected", "eyJ"),
        ("GET https://x.example/events?participantIds=u1&q=Zyxwanda HTTP/1.1", "Zyxwanda"),
        ("see 'https://x.example/a?b=c'", "b=c"),
        (f"keyfile {KEY} end", "MIIEvQ"),
        ("keyfile -----BEGIN PRIVATE KEY-----\nMIIEvQ", "MIIEvQ"),
    ],
)
def test_secrets_and_query_strings_are_cut(text: str, secret: str) -> None:
    assert secret not in redact(text)


def test_harmless_text_stays() -> None:
    text = "dana@example.org: 2 created, 1 moved; https://x.example/a"
    assert redact(text) == text


def test_our_errors_in_full_and_others_by_type_and_place() -> None:
    assert describe(BadItem(GoogleCode.REFUSED, detail="invalid")) == "google_refused: invalid"
    assert describe(RateLimited()) == "rate_limited"
    try:
        raise ValueError("Zyxwanda")
    except ValueError as error:
        text = describe(error)
    assert text.startswith("ValueError at test_redaction.py:")
    assert "Zyxwanda" not in text
    assert describe(KeyError("Zyxwanda")) == "KeyError"


@pytest.mark.parametrize("name", ["calendar_sync", "calendar_sync.sync.cycle", "calendar_sync.a.b"])
def test_every_logger_of_the_package_is_filtered(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    install()
    install()
    with caplog.at_level(logging.DEBUG, logger="calendar_sync"):
        try:
            raise ValueError("Zyxwanda")
        except ValueError:
            logging.getLogger(name).exception("Bearer %s", "ya29.abc")
    assert "ya29" not in caplog.text
    assert "Zyxwanda" not in caplog.text
    assert "ValueError" in caplog.text


def test_a_logging_configuration_of_the_host_neither_silences_us_nor_sees_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = logging.getLogRecordFactory()
    ours, others = (
        logging.getLogger("calendar_sync.sync.runner"),
        logging.getLogger("elsewhere.made"),
    )
    ours.disabled = others.disabled = True
    logging.setLogRecordFactory(logging.LogRecord)
    try:
        install()
        with caplog.at_level(logging.INFO, logger="calendar_sync"):
            ours.info("still here, Bearer %s", "ya29.abc")
            others.warning("not ours to wake")
    finally:
        others.disabled = False
        logging.setLogRecordFactory(before)
    assert "still here, Bearer …" in caplog.text
    assert "ours to wake" not in caplog.text


def test_importing_a_module_installs_the_redaction() -> None:
    """Nobody has to call anything first: not a page, not a notebook, not a script."""
    script = (
        "import logging, calendar_sync.core.concurrency\n"
        "logging.getLogger('calendar_sync.core.concurrency').warning('Bearer ya29.abc')"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stderr == "Bearer …\n"


def test_records_made_from_others_and_records_of_others_stay_as_they_are() -> None:
    install()
    copy = logging.makeLogRecord({"name": "calendar_sync.x", "msg": "as it was"})
    assert (copy.name, copy.getMessage()) == ("calendar_sync.x", "as it was")
    other = logging.getLogger("elsewhere").makeRecord(
        "elsewhere", logging.INFO, "f", 1, "Bearer %s", ("abc",), None
    )
    assert other.getMessage() == "Bearer abc"
