"""What an Airflow Connection must hold for each service, read without Airflow.

The functions take the fields of a connection (`host`, `login`, `password`, `extra` as a mapping)
and return credentials; everything wrong is a `ConfigurationError` that names the field.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calendar_sync.errors import ConfigurationError

WELKIN = "welkin_default"
GOOGLE = "google_calendar_default"
HMAC_KEY = "calendar_sync_hmac_key"
WELKIN_TOKEN_PATH = "/{tenant}/admin/api_clients/{client}"  # noqa: S105 - a path
GOOGLE_ROOT = "https://www.googleapis.com"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - a public address


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one Airflow Connection."""

    host: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WelkinCredentials:
    """How to reach Welkin: base URL, organisation, environment, API client."""

    base_url: str
    tenant: str
    instance: str
    client: str
    secret: str = field(repr=False)
    token_path: str = WELKIN_TOKEN_PATH
    verify: str | bool = True

    @property
    def organisation(self) -> str:
        """What our ids are derived from."""
        return f"{self.tenant}/{self.instance}"


@dataclass(frozen=True, slots=True)
class GoogleCredentials:
    """A service account with domain-wide delegation."""

    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str = ""
    token_uri: str = GOOGLE_TOKEN_URI
    api_root: str = GOOGLE_ROOT
    verify: str | bool = True


def welkin_credentials(fields: Fields, name: str = WELKIN) -> WelkinCredentials:
    """Read a connection of type `welkin`.

    Raises:
        ConfigurationError: a field is missing.
    """
    host = _required(fields.host, name, "host").rstrip("/")
    if "://" in host and not host.startswith("https://"):
        raise ConfigurationError(detail=f"connection {name}: host must begin with https://")
    return WelkinCredentials(
        base_url=host if host.startswith("https://") else f"https://{host}",
        tenant=_required(fields.extra.get("tenant"), name, "extra.tenant"),
        instance=_required(fields.extra.get("instance"), name, "extra.instance"),
        client=_required(fields.login, name, "login"),
        secret=_required(fields.password, name, "password"),
        token_path=str(fields.extra.get("token_path") or WELKIN_TOKEN_PATH),
        verify=_verify(fields.extra),
    )


def google_credentials(fields: Fields, name: str = GOOGLE) -> GoogleCredentials:
    """Read a connection of type `google_cloud_platform` (extra `keyfile_dict`).

    Raises:
        ConfigurationError: a field is missing.
    """
    keyfile = fields.extra.get("keyfile_dict")
    if isinstance(keyfile, str):
        try:
            keyfile = json.loads(keyfile)
        except ValueError:
            raise ConfigurationError(detail=f"{name}: extra.keyfile_dict is not JSON") from None
    if not isinstance(keyfile, Mapping):
        raise ConfigurationError(detail=f"{name}: extra.keyfile_dict is missing")
    return GoogleCredentials(
        client_email=_required(keyfile.get("client_email"), name, "keyfile_dict.client_email"),
        private_key=_required(keyfile.get("private_key"), name, "keyfile_dict.private_key"),
        private_key_id=str(keyfile.get("private_key_id") or ""),
        token_uri=str(keyfile.get("token_uri") or GOOGLE_TOKEN_URI),
        api_root=str(fields.extra.get("api_root") or GOOGLE_ROOT).rstrip("/"),
        verify=_verify(fields.extra),
    )


def _required(value: object, name: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(detail=f"connection {name}: {where} is missing")
    return value.strip()


def _verify(extra: Mapping[str, Any]) -> str | bool:
    """`verify` is the path of a CA bundle; verification itself cannot be switched off."""
    value = extra.get("verify")
    if isinstance(value, str) and value and value.lower() not in {"true", "false"}:
        return value
    return True
