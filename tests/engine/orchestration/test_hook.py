"""The connection type `welkin`: Airflow knows it, and its Test button tells what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
import trustme
from cryptography.fernet import Fernet

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.orchestration.connections import load_secrets
from calendar_sync.orchestration.hooks import WelkinHook
from calendar_sync.orchestration.provider_info import get_provider_info
from calendar_sync_sandbox import Fault, Sandbox, running

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "Secret-with-@:/?#%-signs-7731"
VARIABLE = "AIRFLOW_CONN_WELKIN_DEFAULT"


class Connection:
    """The connection `welkin_default` in the environment, right until a field is changed."""

    def __init__(self, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.fields = fields
        self._environment = monkeypatch

    def test(self, *, extra: dict[str, Any] | None = None, **changes: Any) -> tuple[bool, str]:
        """Press the Test button after these changes; the secret is never in the answer."""
        fields = {**self.fields, **changes, "extra": {**self.fields["extra"], **(extra or {})}}
        self._environment.setenv(VARIABLE, json.dumps(fields))
        return self.press(str(fields["password"]))

    def press(self, secret: str = SECRET) -> tuple[bool, str]:
        """Press the Test button."""
        passed, message = WelkinHook().test_connection()
        assert SECRET not in message
        assert not secret or secret not in message
        return passed, message


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(client_secret=SECRET)
    with running(made, tmp_path_factory.mktemp("served")):
        yield made


@pytest.fixture
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    assert sandbox.ca is not None
    served = json.loads(sandbox.ca.with_name("connections.json").read_text())
    made = Connection(served["welkin_default"], monkeypatch)
    monkeypatch.setenv(VARIABLE, json.dumps(made.fields))
    yield made
    sandbox.faults.clear()


# --- The Test button ----------------------------------------------------------


def test_a_right_connection_authenticates_and_reads(
    connection: Connection, sandbox: Sandbox
) -> None:
    before = len(sandbox.requests)
    assert connection.test() == (True, "Authenticated, and calendar events can be read")
    assert [entry.status for entry in sandbox.requests.since(before)] == [200, 200]
    assert sandbox.requests.writes(since=before) == []


def test_the_hook_returns_what_the_connection_holds(connection: Connection) -> None:
    found = WelkinHook().get_conn()
    assert (found.base_url, found.client, found.secret) == (
        connection.fields["host"],
        connection.fields["login"],
        SECRET,
    )
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "another-secret"},
        {"login": "ANOTHERCLIENT"},
        {"extra": {"tenant": "another-tenant"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_wrong_names_or_secret_are_called_so(
    connection: Connection, changes: dict[str, Any]
) -> None:
    # Welkin answers 401 to all three, so the advice has to name all three.
    passed, message = connection.test(**changes)
    assert not passed
    assert message.startswith("welkin_unauthorized: ")
    assert all(word in message for word in ("organization", "name", "secret"))


def test_an_unknown_environment_is_called_so(connection: Connection) -> None:
    passed, message = connection.test(extra={"instance": "another-instance"})
    assert not passed
    assert "environment" in message


def test_a_token_endpoint_that_is_not_there_is_called_so(connection: Connection) -> None:
    passed, message = connection.test(extra={"token_path": "/nowhere/{tenant}"})
    assert not passed
    assert message.startswith("welkin_client_unknown: ")
    assert "token path" in message


def test_a_client_without_rights_is_called_so(connection: Connection, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("welkin", "status", "GET", "/calendar/events", code=403))
    passed, message = connection.test()
    assert not passed
    assert message.startswith("welkin_access_restricted: ")
    assert "may not read calendar events" in message


def test_a_welkin_that_is_down_is_called_so(connection: Connection, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("welkin", "status", code=503, times=None, message="canary-7731"))
    passed, message = connection.test()
    assert not passed
    assert message.startswith("welkin_unavailable: ")
    assert "canary" not in message


def test_an_unreachable_host_is_called_so(connection: Connection) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound, but nobody listens.
        passed, message = connection.test(host=f"https://127.0.0.1:{taken.getsockname()[1]}")
    assert not passed
    assert message.startswith("no_connection: ")
    assert "base URL" in message


def test_a_certificate_of_an_unknown_authority_is_called_so(
    connection: Connection, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    passed, message = connection.test(extra={"verify": str(tmp_path / "other.pem")})
    assert not passed
    assert message.startswith("untrusted_certificate: ")
    assert "CA bundle" in message


def test_verification_cannot_be_switched_off(connection: Connection) -> None:
    passed, message = connection.test(extra={"verify": "false"})
    assert not passed
    assert message.startswith("untrusted_certificate: ")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_is_none_is_called_so(
    connection: Connection, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    passed, message = connection.test(extra={"verify": str(path)})
    assert not passed
    assert message.startswith("configuration: ")
    assert "CA bundle" in message


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("host", {"host": ""}),
        ("login", {"login": None}),
        ("password", {"password": ""}),
        ("extra.tenant", {"extra": {"tenant": ""}}),
        ("extra.instance", {"extra": {"instance": None}}),
    ],
)
def test_a_missing_field_is_named(
    connection: Connection, field: str, changes: dict[str, Any]
) -> None:
    passed, message = connection.test(**changes)
    assert not passed
    assert message == f"configuration: connection welkin_default: {field} is missing"


def test_plain_http_is_refused(connection: Connection) -> None:
    passed, message = connection.test(host=connection.fields["host"].replace("https", "http"))
    assert not passed
    assert "https://" in message


def test_a_missing_connection_is_named(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    passed, message = connection.press()
    assert not passed
    assert "welkin_default is missing" in message


@pytest.mark.parametrize("extra", ["not json", "[1]", "7"])
def test_an_extra_that_is_no_object_is_called_so(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({**connection.fields, "extra": extra}))
    with pytest.raises(ConfigurationError, match="extra is not a JSON object"):
        WelkinHook().get_conn()


# --- Forms of a connection -----------------------------------------------------


def _as_uri(fields: dict[str, Any]) -> str:
    host = fields["host"].removeprefix("https://")
    login, password = (quote(fields[name], safe="") for name in ("login", "password"))
    address, _, path = host.partition("/")
    # A URI keeps no path of a host: the whole address goes in, quoted.
    whole = quote(f"https://{address}/{path}", safe="")
    return f"welkin://{login}:{password}@{whole}/?{urlencode(fields['extra'])}"


def test_the_connection_survives_the_form_of_a_uri(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_json = WelkinHook().get_conn()
    monkeypatch.setenv(VARIABLE, _as_uri(connection.fields))
    assert WelkinHook().get_conn() == as_json
    assert connection.press()[0]


def test_the_connection_survives_the_uri_that_airflow_writes(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.connection import Connection as Stored

    as_json = WelkinHook().get_conn()
    fields = {**connection.fields, "extra": json.dumps(connection.fields["extra"])}
    monkeypatch.setenv(VARIABLE, Stored(conn_id="welkin_default", **fields).get_uri())
    assert WelkinHook().get_conn() == as_json
    assert connection.press()[0]


@pytest.mark.parametrize("as_text", [True, False], ids=["extra as text", "extra as object"])
def test_the_connection_survives_both_forms_of_json(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, as_text: bool
) -> None:
    extra = connection.fields["extra"]
    fields = {**connection.fields, "extra": json.dumps(extra) if as_text else extra}
    monkeypatch.setenv(VARIABLE, json.dumps(fields))
    assert connection.press()[0]


def test_all_secrets_are_read_from_the_environment(
    connection: Connection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.ca is not None
    served = json.loads(sandbox.ca.with_name("connections.json").read_text())
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", "generic://:made-up-key@")
    assert load_secrets().google is None
    monkeypatch.setenv(
        "AIRFLOW_CONN_GOOGLE_CALENDAR_DEFAULT", json.dumps(served["google_calendar_default"])
    )
    found = load_secrets()
    assert found.google is not None
    assert found.google.client_email == sandbox.google.keyfile()["client_email"]
    assert found.hmac_key == "made-up-key"
    assert not any(text in repr(found.google) for text in ("PRIVATE", "BEGIN"))


@pytest.mark.parametrize("configured", [None, "", "not a key", "{FERNET_KEY}"])
def test_without_a_key_of_airflow_tokens_are_encrypted_with_one_of_ours(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, configured: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", "generic://:made-up-key@")
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY", raising=False)
    if configured is not None:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", configured)
    [derived] = load_secrets().fernet_keys
    Fernet(derived)
    theirs = [Fernet.generate_key().decode() for _ in range(2)]
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", ", ".join(theirs))
    assert load_secrets().fernet_keys == (*theirs, derived)


# --- What Airflow knows ----------------------------------------------------------


def test_the_provider_is_registered() -> None:
    points = importlib.metadata.entry_points(group="apache_airflow_provider")
    [ours] = [point for point in points if point.value.startswith("calendar_sync.")]
    info = ours.load()()
    assert info == get_provider_info()
    assert ours.dist is not None
    assert info["package-name"] == ours.dist.name
    assert info["versions"] == [ours.dist.version]
    [kind] = info["connection-types"]
    assert kind["connection-type"] == WelkinHook.conn_type
    assert set(kind["conn-fields"]) == {"tenant", "instance", "token_path", "verify"}
    # The secret is in the field that Airflow encrypts and masks, not in a field of ours.
    assert kind["ui-field-behaviour"]["relabeling"]["password"] == "API client secret"


def test_the_command_line_lists_the_connection_type(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("airflow")), "providers", "hooks", "-o", "json"],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout[done.stdout.index("[{") :])
    [ours] = [row for row in rows if row["connection_type"] == "welkin"]
    assert ours["class"] == "calendar_sync.orchestration.hooks.WelkinHook"
    assert ours["package_name"] == "calendar-sync"
    assert ours["hook_name"] == "Welkin"
    assert ours["conn_id_attribute_name"] == "welkin_conn_id"
