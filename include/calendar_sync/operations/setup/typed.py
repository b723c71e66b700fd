"""What people type or paste for a connection, as Airflow stores it.

A mistake names the field and says what is wrong with it, never what was in it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from calendar_sync.config.credentials import GOOGLE, MICROSOFT, WELKIN, Fields
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.bounded import HALF, read_json
from calendar_sync.core.model import Platform

Values = Mapping[str, str]
#: Characters that any field may have; a key file has some 2,400.
LONGEST = 20_000
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_TENANT = re.compile(r"[\w.-]+")
_NEEDED, _HALF = "is needed", "has a character that cannot be stored"


@dataclass(frozen=True)
class Input:
    """One field of a form; `rare` ones are for special networks and tests."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    long: bool = False
    rare: bool = False
    needed: bool = True


@dataclass(frozen=True)
class Form:
    """The form of one connection; `kind` is the type by Airflow's name, `picker` as it shows it."""

    name: str
    title: str
    kind: str
    picker: str
    guide: str
    inputs: tuple[Input, ...]


class Mistaken(Exception):
    """What is wrong, by field. Holds nothing that was typed."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        super().__init__(", ".join(mistakes))
        self.mistakes = dict(mistakes)


_VERIFY = Input(
    "verify",
    "CA bundle",
    "Path of a file with certificate authorities, where Airflow runs. Empty for the system's.",
    rare=True,
    needed=False,
)
FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form(
            WELKIN,
            "Welkin",
            "welkin",
            "Welkin",
            "welkin",
            (
                Input("host", "Base URL", "Such as https://api.live.welkincloud.io"),
                Input("tenant", "Organization (tenant)", "As in Welkin's addresses."),
                Input("instance", "Environment (instance)", "Such as live, or test."),
                Input("client", "API client name", "Twelve capital letters."),
                Input("secret", "API client secret", secret=True),
                _VERIFY,
            ),
        ),
        Form(
            GOOGLE,
            Platform.GOOGLE.calendars,
            "google_cloud_platform",
            "Google Cloud",
            "google",
            (
                Input(
                    "keyfile",
                    "Service account key (JSON)",
                    "Paste the whole content of the downloaded file, or choose the file.",
                    secret=True,
                    long=True,
                ),
                Input(
                    "directory_admin",
                    "Administrator for reading the directory",
                    "An address. Without one, proposals try each mailbox by itself.",
                    needed=False,
                ),
                Input("api_root", "Base URL of the API", rare=True, needed=False),
                Input("directory_root", "Base URL of the directory", rare=True, needed=False),
                _VERIFY,
            ),
        ),
        Form(
            MICROSOFT,
            Platform.MICROSOFT.calendars,
            "msgraph",
            "Microsoft Graph API",
            "microsoft",
            (
                Input("tenant_id", "Directory (tenant) ID"),
                Input("client", "Application (client) ID"),
                Input("secret", "Client secret", "Its value, not its ID.", secret=True),
                Input("host", "Base URL of Graph", "National clouds.", rare=True, needed=False),
                Input("authority", "Authority", "National clouds.", rare=True, needed=False),
                _VERIFY,
            ),
        ),
    )
}


@dataclass(frozen=True)
class Typed:
    """A connection as Airflow's API takes it, and its fields as the sync reads them."""

    document: Mapping[str, Any]
    fields: Fields

    def __repr__(self) -> str:
        return f"Typed({self.document['connection_id']})"


def read_typed(name: str, values: Values) -> Typed:
    """The connection that these values make.

    Raises:
        Mistaken: by field.
    """
    form = FORMS[name]
    given = {one.name: values.get(one.name, "").strip() for one in form.inputs}
    mistakes = {one.name: _NEEDED for one in form.inputs if one.needed and not given[one.name]}
    mistakes |= {key: "is too long" for key, value in given.items() if len(value) > LONGEST}
    mistakes |= {key: _HALF for key, value in given.items() if HALF.search(value)}
    for key in ("host", "api_root", "directory_root", "authority"):
        if given.get(key) and not _is_base_url(given[key]):
            mistakes.setdefault(key, "is no base URL: it begins with https://")
    if name == GOOGLE and "keyfile" not in mistakes and (said := _wrong_key(given["keyfile"])):
        mistakes["keyfile"] = said
    if name == MICROSOFT:
        mistakes = _wrong_app(given) | mistakes
    if mistakes:
        raise Mistaken(mistakes)
    return _MAKERS[name](given)


def _welkin(given: Values) -> Typed:
    extra = {"tenant": given["tenant"], "instance": given["instance"]}
    return _typed(WELKIN, given, extra, given["host"])


def _google(given: Values) -> Typed:
    # Airflow's own form for this connection stores the key file as text.
    extra = {"keyfile_dict": json.dumps(read_json(given["keyfile"]))}
    for key in ("directory_admin", "api_root", "directory_root"):
        extra |= {key: given[key]} if given[key] else {}
    return _typed(GOOGLE, given, extra, "")


def _microsoft(given: Values) -> Typed:
    extra = {"tenant_id": given["tenant_id"]}
    extra |= {"authority": given["authority"]} if given["authority"] else {}
    return _typed(MICROSOFT, given, extra, given["host"])


_MAKERS = {WELKIN: _welkin, GOOGLE: _google, MICROSOFT: _microsoft}


def _typed(name: str, given: Values, extra: dict[str, str], host: str) -> Typed:
    extra |= {"verify": given["verify"]} if given["verify"] else {}
    login, password = given.get("client", ""), given.get("secret", "")
    document = {
        "connection_id": name,
        "conn_type": FORMS[name].kind,
        "description": "Welkin Calendar Sync",
        "host": host or None,
        "login": login or None,
        "password": password or None,
        # The Test button in Airflow's list asks for port 0 and is refused where none is stored.
        "port": 0,
        "extra": json.dumps(extra),
    }
    return Typed(document, Fields(host, login, Hidden(password), extra))


def _is_base_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        return False


def _wrong_app(given: Values) -> dict[str, str]:
    mistakes = {}
    if not _TENANT.fullmatch(given["tenant_id"]):
        mistakes["tenant_id"] = "is neither an ID nor a domain"
    if not _GUID.fullmatch(given["client"]):
        mistakes["client"] = "is no application ID: 32 digits and letters in five groups"
    if _GUID.fullmatch(given["secret"]):
        mistakes["secret"] = "is the secret's ID: paste its value, which is shown once"  # noqa: S105
    return mistakes


def _wrong_key(text: str) -> str:
    """What is wrong with a service account's key file, empty for nothing."""
    try:
        found = read_json(text)
    except ValueError:
        return "is not JSON: paste the whole file, from { to }"
    if not isinstance(found, dict):
        return "is not a key file: it begins with {"
    if "installed" in found or "web" in found:
        return "is of an OAuth client: a service account's key is needed"
    if found.get("type") != "service_account":
        return "type: must be service_account"
    if "@" not in str(found.get("client_email") or ""):
        return "client_email: is missing, or no address"
    if not _is_base_url(str(found.get("token_uri") or "")):
        return "token_uri: is missing, or does not begin with https://"
    try:
        key = load_pem_private_key(str(found.get("private_key") or "").encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    return "" if isinstance(key, RSAPrivateKey) else "private_key: is missing, or cannot be read"
