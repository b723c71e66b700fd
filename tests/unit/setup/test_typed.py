"""What people type for a connection: mistakes name the field, never what was in it."""

import json
from typing import Any

import pytest

from calendar_sync.config.credentials import (
    GOOGLE,
    MICROSOFT,
    WELKIN,
    google_credentials,
    microsoft_credentials,
    welkin_credentials,
)
from calendar_sync.operations.setup.typed import FORMS, Mistaken, read_typed
from calendar_sync_sandbox import Sandbox

SECRET = "made-up-secret-that-nobody-may-see"
WELKIN_VALUES = {
    "host": "https://api.live.example.org",
    "tenant": "clinic",
    "instance": "live",
    "client": "ABCDEFGHIJKL",
    "secret": SECRET,
}
MICROSOFT_VALUES = {
    "tenant_id": "7d4a1c62-0b7e-4f53-9f0a-2c1e8d6b5a40",
    "client": "b1e0c3d2-5a4f-4e6b-8c7d-9f8e7d6c5b4a",
    "secret": SECRET,
}


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    return dict(Sandbox().google.keyfile())


def mistakes(name: str, values: dict[str, str]) -> dict[str, str]:
    with pytest.raises(Mistaken) as caught:
        read_typed(name, values)
    text = repr(caught.value) + str(caught.value) + str(caught.value.mistakes)
    assert SECRET not in text
    return caught.value.mistakes


def test_what_is_typed_is_what_the_sync_reads(key: dict[str, Any]) -> None:
    welkin = read_typed(WELKIN, WELKIN_VALUES)
    assert welkin_credentials(welkin.fields).secret == SECRET
    assert welkin.document["conn_type"] == "welkin"
    google = read_typed(
        GOOGLE, {"keyfile": json.dumps(key), "directory_admin": " a@example.org ", "verify": "/ca"}
    )
    read = google_credentials(google.fields)
    assert (read.private_key, read.directory_admin, read.verify) == (
        key["private_key"].strip(),
        "a@example.org",
        "/ca",
    )
    microsoft = read_typed(MICROSOFT, MICROSOFT_VALUES)
    assert microsoft_credentials(microsoft.fields).tenant == MICROSOFT_VALUES["tenant_id"]
    for typed in (welkin, google, microsoft):
        assert SECRET not in repr(typed)
        assert "PRIVATE KEY" not in repr(typed)
        assert json.loads(typed.document["extra"]) == typed.fields.extra


@pytest.mark.parametrize("name", FORMS)
def test_everything_that_is_needed_is_named_at_once(name: str) -> None:
    needed = {one.name for one in FORMS[name].inputs if one.needed}
    assert needed <= mistakes(name, {}).keys()


def test_addresses_are_https() -> None:
    for host in ("http://api.example.org", "api.example.org", "https://", "https://[", "x"):
        assert "host" in mistakes(WELKIN, {**WELKIN_VALUES, "host": host})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "authorized_user"}, "type"),
        ({"client_email": SECRET}, "client_email"),
        ({"private_key": SECRET}, "private_key"),
        ({"private_key": None}, "private_key"),
        ({"token_uri": "http://example.org"}, "token_uri"),
        ({"token_uri": None}, "token_uri"),
        ({"installed": {}}, "OAuth client"),
    ],
)
def test_a_key_file_is_a_service_accounts(
    key: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    found = mistakes(GOOGLE, {"keyfile": json.dumps({**key, **change})})
    assert said in found["keyfile"]


@pytest.mark.parametrize("text", [SECRET, "{", "[]", '"x"', "[" * 5000, "\x00", "x" * 30_000])
def test_what_is_no_key_file(text: str) -> None:
    assert "keyfile" in mistakes(GOOGLE, {"keyfile": text})


def test_the_id_of_a_secret_is_not_the_secret() -> None:
    found = mistakes(MICROSOFT, {**MICROSOFT_VALUES, "secret": MICROSOFT_VALUES["client"]})
    assert "its value" in found["secret"]
    found = mistakes(MICROSOFT, {**MICROSOFT_VALUES, "client": "x", "tenant_id": "a b"})
    assert found.keys() == {"client", "tenant_id"}
    read_typed(MICROSOFT, {**MICROSOFT_VALUES, "tenant_id": "example.onmicrosoft.com"})
