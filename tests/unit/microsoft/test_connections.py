"""What a connection of type `msgraph` must hold."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.config.credentials import Fields, MicrosoftCredentials, microsoft_credentials
from calendar_sync.core.errors import ConfigurationError
from tests.unit.microsoft.certificates import certificate, ec_key, private_part, rsa_key

KEY = rsa_key()
CERTIFICATE = certificate(KEY)
PEM = private_part(KEY) + CERTIFICATE


SECRET = "kept~to.ourselves"


def read(
    *, login: str = "client", password: str = SECRET, host: str = "", **extra: Any
) -> MicrosoftCredentials:
    fields = Fields(host, login, password, {"tenant_id": "tenant", **extra})
    return microsoft_credentials(fields)


def refused(**fields: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(**fields)
    text = f"{caught.value} {vars(caught.value)}"
    assert SECRET not in text
    assert "PRIVATE" not in text
    assert caught.value.__cause__ is None
    assert caught.value.detail.startswith("connection microsoft_graph_default: ")
    return caught.value.detail


def test_a_secret() -> None:
    assert read() == MicrosoftCredentials(
        tenant="tenant", client="client", secret=SECRET,
        root="https://graph.microsoft.com", authority="https://login.microsoftonline.com",
    )  # fmt: skip
    assert read().scope == "https://graph.microsoft.com/.default"


def test_blanks_around_a_value_are_none_of_it() -> None:
    found = read(login=" client ", password=f" {SECRET}\n", tenant_id=" tenant ")
    assert found == read()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"login": ""}, "login"),
        ({"login": "  "}, "login"),
        ({"password": ""}, "password"),
        ({"password": "  "}, "password"),
        ({"tenant_id": ""}, "extra.tenant_id"),
        ({"tenant_id": None}, "extra.tenant_id"),
        ({"tenant_id": 7}, "extra.tenant_id"),
        ({"host": "http://graph.microsoft.com"}, "host"),
        ({"host": "ftp://graph.microsoft.com"}, "host"),
        ({"authority": "http://login.microsoftonline.com"}, "extra.authority"),
    ],
    ids=str,
)
def test_what_is_missing_or_wrong_is_named(fields: dict[str, Any], named: str) -> None:
    assert named in refused(**fields)


@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("", "https://graph.microsoft.com"),
        ("graph.microsoft.us", "https://graph.microsoft.us"),
        ("https://graph.microsoft.us", "https://graph.microsoft.us"),
        ("https://graph.microsoft.us/", "https://graph.microsoft.us"),
        (" graph.microsoft.us/ ", "https://graph.microsoft.us"),
        ("localhost:8443", "https://localhost:8443"),
    ],
)
def test_a_host_without_scheme_gets_one(host: str, root: str) -> None:
    found = read(host=host)
    assert (found.root, found.scope) == (root, f"{root}/.default")


@pytest.mark.parametrize(
    ("authority", "address"),
    [
        (None, "https://login.microsoftonline.com"),
        ("", "https://login.microsoftonline.com"),
        ("login.microsoftonline.us", "https://login.microsoftonline.us"),
        ("https://login.microsoftonline.us/", "https://login.microsoftonline.us"),
    ],
)
def test_an_authority_without_scheme_gets_one(authority: str | None, address: str) -> None:
    assert read(authority=authority).authority == address


@pytest.mark.parametrize(
    ("verify", "found"),
    [("ca.pem", "ca.pem"), ("", True), (None, True), (False, True), ("false", True),
     ("False", True), (True, True), (0, True)],
)  # fmt: skip
def test_verification_cannot_be_switched_off(verify: Any, found: str | bool) -> None:
    assert read(verify=verify).verify == found


# --- Certificates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pem",
    [
        PEM,
        CERTIFICATE + private_part(KEY),
        PEM.replace("\n", "\r\n"),
        f"Bag Attributes\n    friendlyName: x\n{PEM}",
        CERTIFICATE + private_part(KEY, PrivateFormat.TraditionalOpenSSL),
    ],
    ids=["key first", "certificate first", "other line ends", "with remarks", "older form of key"],
)
def test_a_certificate_and_its_key_in_one_text(pem: str) -> None:
    found = read(password="", certificate_data=pem)
    assert found.secret == ""
    key = load_pem_private_key(found.private_key.encode(), None)
    assert key.public_key() == KEY.public_key()
    assert load_pem_x509_certificate(found.certificate.encode()).public_key() == KEY.public_key()
    assert "PRIVATE" not in found.certificate
    assert "CERTIFICATE" not in found.private_key


def test_a_certificate_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "calendar-sync.pem"
    path.write_text(PEM)
    assert read(password="", certificate_path=str(path)) == read(password="", certificate_data=PEM)


def test_the_certificate_comes_before_the_secret_and_its_text_before_the_file() -> None:
    found = read(certificate_data=PEM, certificate_path="/no/such/file")
    assert found.secret == ""
    assert found.certificate


def test_a_file_that_cannot_be_read_is_named_by_its_field(tmp_path: Path) -> None:
    binary = tmp_path / "calendar-sync.pfx"
    binary.write_bytes(b"\x30\x82\xff\xfe")
    for path in (tmp_path / "none.pem", tmp_path, binary, "\0"):
        assert "extra.certificate_path" in refused(password="", certificate_path=str(path))


EC = ec_key()


@pytest.mark.parametrize(
    "pem",
    [
        certificate(EC) + private_part(EC),
        certificate(EC) + private_part(EC, PrivateFormat.TraditionalOpenSSL),
        CERTIFICATE,
        private_part(KEY),
        CERTIFICATE + private_part(KEY, password=b"locked"),
        CERTIFICATE + private_part(KEY)[:200],
        CERTIFICATE[:200] + private_part(KEY),
        "garbage",
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
        "\ud800",
        ["x"],
        {"certificate": "x"},
        7,
    ],
    ids=["elliptic", "elliptic, older form", "no key", "no certificate", "locked key", "half a key",
         "half a certificate", "garbage", "empty key", "surrogate", "list", "object", "number"],
)  # fmt: skip
def test_what_is_no_certificate_with_its_rsa_key_is_refused(pem: Any) -> None:
    assert "must be PEM, with its RSA private key" in refused(certificate_data=pem)


def test_a_certificate_and_the_key_of_another_are_refused() -> None:
    assert "do not belong together" in refused(
        certificate_data=CERTIFICATE + private_part(rsa_key())
    )


def test_nothing_secret_is_shown() -> None:
    for found in (read(), read(password="", certificate_data=PEM)):
        assert SECRET not in f"{found} {found!r}"
        assert "PRIVATE" not in f"{found} {found!r}"
    fields = Fields("h", "l", SECRET, {"certificate_data": PEM})
    assert SECRET not in repr(fields)
    assert "PRIVATE" not in repr(fields)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text())


@given(
    st.dictionaries(
        st.sampled_from(["tenant_id", "authority", "verify", "certificate_data",
                         "certificate_path"]),
        values,
    ),
    st.text(max_size=8), st.text(max_size=8), st.text(max_size=8),
)  # fmt: skip
def test_fields_of_any_shape_are_read_or_refused_by_name(
    extra: dict[str, Any], host: str, login: str, password: str
) -> None:
    try:
        found = microsoft_credentials(Fields(host, login, password, extra))
    except ConfigurationError as error:
        assert error.detail.startswith("connection ")  # noqa: PT017 - a refusal is one of two ends
        return
    assert found.root.startswith("https://")
    assert found.authority.startswith("https://")
    assert found.secret or found.private_key
