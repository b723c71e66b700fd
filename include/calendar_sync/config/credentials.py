"""What an Airflow Connection must hold for each service, read without Airflow.

The functions take the fields of a connection (`host`, `login`, `password`, `extra` as a mapping)
and return credentials; everything wrong is a `ConfigurationError` that names the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calendar_sync.core.boundary import Hidden
from calendar_sync.core.bounded import read_json
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform

WELKIN = "welkin_default"
GOOGLE = "google_calendar_default"
MICROSOFT = "microsoft_graph_default"
HMAC_KEY = "calendar_sync_hmac_key"
#: The connection of each platform in Airflow.
CONNECTION_IDS = {Platform.GOOGLE: GOOGLE, Platform.MICROSOFT: MICROSOFT}
WELKIN_TOKEN_PATH = "/{tenant}/admin/api_clients/{client}"  # noqa: S105 - a path
GOOGLE_ROOT = "https://www.googleapis.com"
GOOGLE_DIRECTORY_ROOT = "https://admin.googleapis.com"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - a public address
GRAPH_ROOT = "https://graph.microsoft.com"
MICROSOFT_AUTHORITY = "https://login.microsoftonline.com"


class Missing(ConfigurationError):
    """There is no such connection."""


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
    """A service account with domain-wide delegation.

    `directory_admin` is the administrator as whom the directory is read; empty: it is not.
    """

    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str = ""
    token_uri: str = GOOGLE_TOKEN_URI
    api_root: str = GOOGLE_ROOT
    directory_admin: str = ""
    directory_root: str = GOOGLE_DIRECTORY_ROOT
    verify: str | bool = True


@dataclass(frozen=True, slots=True)
class MicrosoftCredentials:
    """An app registration of one tenant, with a secret or a certificate and its key (both PEM).

    `root` and `authority` are base URLs; national clouds have their own of both.
    """

    tenant: str
    client: str
    secret: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    root: str = GRAPH_ROOT
    authority: str = MICROSOFT_AUTHORITY
    verify: str | bool = True

    @property
    def scope(self) -> str:
        """All application permissions that have been consented to."""
        return f"{self.root}/.default"


def welkin_credentials(fields: Fields, name: str = WELKIN) -> WelkinCredentials:
    """Read a connection of type `welkin`.

    Raises:
        ConfigurationError: a field is missing.
    """
    return WelkinCredentials(
        base_url=_address(_required(fields.host, name, "host"), name, "host"),
        tenant=_required(fields.extra.get("tenant"), name, "extra.tenant"),
        instance=_required(fields.extra.get("instance"), name, "extra.instance"),
        client=_required(fields.login, name, "login"),
        secret=Hidden(_required(fields.password, name, "password")),
        token_path=str(fields.extra.get("token_path") or WELKIN_TOKEN_PATH),
        verify=_verify(fields.extra),
    )


def google_credentials(fields: Fields) -> GoogleCredentials:
    """Read a connection of type `google_cloud_platform` (extra `keyfile_dict`).

    Raises:
        ConfigurationError: a field is missing.
    """
    keyfile = fields.extra.get("keyfile_dict")
    if isinstance(keyfile, str):
        try:
            keyfile = read_json(keyfile)
        except ValueError:
            raise ConfigurationError(detail=f"{GOOGLE}: extra.keyfile_dict is not JSON") from None
    if not isinstance(keyfile, Mapping):
        raise ConfigurationError(detail=f"{GOOGLE}: extra.keyfile_dict is missing")
    return GoogleCredentials(
        client_email=_required(keyfile.get("client_email"), GOOGLE, "keyfile_dict.client_email"),
        private_key=Hidden(
            _required(keyfile.get("private_key"), GOOGLE, "keyfile_dict.private_key")
        ),
        private_key_id=str(keyfile.get("private_key_id") or ""),
        token_uri=str(keyfile.get("token_uri") or GOOGLE_TOKEN_URI),
        api_root=str(fields.extra.get("api_root") or GOOGLE_ROOT).rstrip("/"),
        directory_admin=str(fields.extra.get("directory_admin") or "").strip(),
        directory_root=str(fields.extra.get("directory_root") or GOOGLE_DIRECTORY_ROOT).rstrip("/"),
        verify=_verify(fields.extra),
    )


def microsoft_credentials(fields: Fields) -> MicrosoftCredentials:
    """Read a connection of type `msgraph`.

    Beside the secret (password) a certificate is possible: extra `certificate_data`, or a file
    `certificate_path`, holding certificate and private key as PEM.

    Raises:
        ConfigurationError: a field is missing, or the certificate cannot be read.
    """
    certificate, private_key = _certificate(fields.extra, MICROSOFT)
    secret = fields.password.strip()
    if not certificate and not secret:
        raise ConfigurationError(
            detail=f"connection {MICROSOFT}: password (client secret) or a certificate is missing"
        )
    authority = str(fields.extra.get("authority") or MICROSOFT_AUTHORITY)
    return MicrosoftCredentials(
        tenant=_required(fields.extra.get("tenant_id"), MICROSOFT, "extra.tenant_id"),
        client=_required(fields.login, MICROSOFT, "login"),
        secret=Hidden("" if certificate else secret),
        certificate=certificate,
        private_key=Hidden(private_key),
        root=_address(fields.host or GRAPH_ROOT, MICROSOFT, "host").removesuffix("/v1.0"),
        authority=_address(authority, MICROSOFT, "extra.authority"),
        verify=_verify(fields.extra),
    )


def _certificate(extra: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Certificate and private key, both empty where none is configured."""
    data, path = extra.get("certificate_data"), extra.get("certificate_path")
    if not data and path:
        try:
            data = Path(str(path)).read_text("utf-8")
        except (OSError, ValueError):
            raise ConfigurationError(
                detail=f"connection {name}: extra.certificate_path cannot be read"
            ) from None
    if not data:
        return "", ""
    # For who has a certificate: the import takes longer than to read a connection.
    from calendar_sync.config.certificate import read_certificate

    try:
        return read_certificate(str(data))
    except ValueError as error:
        raise ConfigurationError(detail=f"connection {name}: {error}") from None


def _address(host: str, name: str, where: str) -> str:
    """A base URL; a mere host name gets its scheme."""
    host = host.strip().rstrip("/")
    if "://" in host and not host.startswith("https://"):
        raise ConfigurationError(detail=f"connection {name}: {where} must begin with https://")
    return host if host.startswith("https://") else f"https://{host}"


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
