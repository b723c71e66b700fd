"""The service account, domain-wide delegation and access tokens.

A client signs a JWT with the service account's key, names the user as ``sub`` and gets a token of
one hour. https://developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from calendar_sync_sandbox.service import Refusal, Reply

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/"
LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(minutes=5)
READ_SCOPES = frozenset(
    SCOPE + name
    for name in ("calendar", "calendar.events", "calendar.readonly", "calendar.events.readonly")
)
WRITE_SCOPES = frozenset(SCOPE + name for name in ("calendar", "calendar.events"))
LIST_SCOPES = frozenset(
    SCOPE + name
    for name in (
        "calendar",
        "calendar.readonly",
        "calendar.calendarlist",
        "calendar.calendarlist.readonly",
    )
)
#: What makes and deletes calendars: one of them only those that this client has made.
MAKING_SCOPE = SCOPE + "calendar.app.created"
MAKING_SCOPES = frozenset({SCOPE + "calendar", SCOPE + "calendar.calendars", MAKING_SCOPE})
#: What reads a calendar itself: the scopes of its events do not.
CALENDAR_SCOPES = frozenset(
    SCOPE + name
    for name in (
        "calendar",
        "calendar.app.created",
        "calendar.readonly",
        "calendar.calendars",
        "calendar.calendars.readonly",
    )
)
DIRECTORY_SCOPES = frozenset(
    SCOPE + name for name in ("admin.directory.user", "admin.directory.user.readonly")
)


@lru_cache(maxsize=1)
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@lru_cache(maxsize=1)
def _pem() -> str:
    return (
        _key()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token allows, and until when."""

    subject: str
    scopes: frozenset[str]
    expires: datetime


class Delegation:
    """The token endpoint's memory.

    Attributes:
        root: base URL of the sandbox.
        authorised_scopes: what the administrator allowed the client; asking for one more fails.
        missing: True makes every token request 401 ``unauthorized_client``.
        grants: access tokens given.
    """

    client_email = "calendar-sync@sandbox-project.iam.gserviceaccount.com"

    def __init__(self, root: str) -> None:
        """Authorise the usual calendar scopes, and reading the directory and groups."""
        self.root = root
        self.authorised_scopes = (
            READ_SCOPES
            | WRITE_SCOPES
            | LIST_SCOPES
            | {MAKING_SCOPE, SCOPE + "calendar.freebusy", SCOPE + "admin.directory.user.readonly"}
            | {SCOPE + "admin.directory.group.member.readonly"}
        )
        self.missing = False
        self.grants: dict[str, Grant] = {}

    @property
    def token_uri(self) -> str:
        """Where tokens are asked for."""
        return f"{self.root}/google/token"

    def keyfile(self) -> dict[str, str]:
        """Return the key as the Cloud console writes it."""
        return {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": "5a9d0b0c5e1d4c0f9a7e3b1f6d2c8e4a7b9f0d1c",
            "private_key": _pem(),
            "client_email": self.client_email,
            "client_id": "104857600000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def forget(self, email: str) -> None:
        """Make every token of a user invalid."""
        self.grants = {
            token: grant
            for token, grant in self.grants.items()
            if grant.subject.lower() != email.lower()
        }

    def exchange(self, form: bytes, now: datetime, states: dict[str, str]) -> Reply:
        """Answer a token request.

        Args:
            form: the form sent.
            now: the present moment.
            states: state of each mailbox by its address in lower case.

        Raises:
            Refusal: with the errors of the token endpoint.
        """
        fields = {name: values[-1] for name, values in parse_qs(form.decode("latin-1")).items()}
        if fields.get("grant_type") != GRANT:
            raise _refuse(400, "unsupported_grant_type", "Invalid grant_type")
        claims = self._verified(fields.get("assertion", ""), now)
        scopes = frozenset(str(claims.get("scope", "")).split())
        subject = claims.get("sub") or self.client_email
        if self.missing or not scopes or not scopes <= self.authorised_scopes:
            raise _refuse(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client "
                "not authorized for any of the scopes requested.",
            )
        if "@" not in subject or " " in subject:
            raise _refuse(400, "invalid_request", "Invalid impersonation prn email address.")
        state = states.get(subject.lower())
        if subject != self.client_email:
            if state in (None, "suspended", "archived", "revoked"):
                raise _refuse(400, "invalid_grant", "Invalid email or User ID")
            if state == "deleted":
                raise _refuse(400, "invalid_grant", "The account has been deleted")
        token = "ya29.c.sandbox-" + secrets.token_urlsafe(40)
        self.grants[token] = Grant(subject.lower(), scopes, now + LIFETIME)
        body = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        return Reply(200, body)

    def _verified(self, assertion: str, now: datetime) -> dict[str, Any]:
        try:
            head, claims, signature = assertion.split(".")
            signed = f"{head}.{claims}".encode()
            algorithm = json.loads(_decode(head)).get("alg")
            content = json.loads(_decode(claims))
            seal = _decode(signature)
        except (ValueError, AttributeError):
            raise _refuse(400, "invalid_grant", "Invalid JWT: failed to decode") from None
        if content.get("iss") != self.client_email:
            raise _refuse(400, "invalid_grant", "Invalid JWT: No valid verifier found for issuer.")
        try:
            if algorithm != "RS256":
                raise InvalidSignature
            _key().public_key().verify(seal, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _refuse(400, "invalid_grant", "Invalid JWT Signature.") from None
        if content.get("aud") not in (self.token_uri, GOOGLE_AUDIENCE):
            raise _refuse(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        issued, expires = content.get("iat"), content.get("exp")
        moment = now.timestamp()
        leeway = LEEWAY.total_seconds()
        if (
            not isinstance(issued, int | float)
            or not isinstance(expires, int | float)
            or expires - issued > LIFETIME.total_seconds()
            or expires < moment
            or issued > moment + leeway
        ):
            raise _refuse(
                400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)."
            )
        return dict(content)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refuse(status: int, error: str, description: str) -> Refusal:
    return Refusal(Reply(status, {"error": error, "error_description": description}))
