"""The net under the logs."""

import logging

import pytest

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
    assert describe(BadItem("google_refused", detail="invalid")) == "google_refused: invalid"
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


def test_a_logging_configuration_of_the_host_does_not_silence_us(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("calendar_sync").disabled = True
    with caplog.at_level(logging.INFO, logger="calendar_sync"):
        install().info("still here")
    assert "still here" in caplog.text


def test_records_made_from_others_and_records_of_others_stay_as_they_are() -> None:
    install()
    copy = logging.makeLogRecord({"name": "calendar_sync.x", "msg": "as it was"})
    assert (copy.name, copy.getMessage()) == ("calendar_sync.x", "as it was")
    other = logging.getLogger("elsewhere").makeRecord(
        "elsewhere", logging.INFO, "f", 1, "Bearer %s", ("abc",), None
    )
    assert other.getMessage() == "Bearer abc"
