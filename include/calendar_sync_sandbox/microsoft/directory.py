"""The Entra tenant: its application, its secrets and certificate, and the access tokens given.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from calendar_sync_sandbox.service import Refusal, Reply

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"
LIFETIME = timedelta(seconds=3600)
LEEWAY = timedelta(minutes=5)
CALENDARS, USERS = "Calendars.ReadWrite", "User.Read.All"
GROUPS = "GroupMember.Read.All"
READ_CALENDARS = "Calendars.Read"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+$", re.IGNORECASE)
_SALT = padding.PSS.AUTO


@lru_cache(maxsize=1)
def _pair() -> tuple[str, str, x509.Certificate]:
    """Make the key and the certificate that the sandbox hands out, once a process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "calendar-sync")])
    begins = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return private.decode(), public.decode(), certificate


class Directory:
    """One tenant with one application.

    Attributes:
        root: base URL of the sandbox.
        tenant_id: id of the tenant; ``domain`` works as well.
        client_id: id of the application.
        client_secret: its secret.
        secret_state: ``ok`` or ``expired``.
        app_registered: False when the tenant does not know the application.
        consent: whether an administrator has consented.
        roles: application permissions; looked at in every call, as if tokens were always fresh.
        unavailable: True makes every token request 503 ``temporarily_unavailable``.
        registered: the certificate that assertions are checked against, as PEM.
        grants: access tokens given, and when they end.
    """

    tenant_id = "7d4a1c62-0b7e-4f53-9f0a-2c1e8d6b5a40"
    domain = "example.org"
    client_id = "b1e0c3d2-5a4f-4e6b-8c7d-9f8e7d6c5b4a"

    def __init__(self, root: str) -> None:
        """Register the application with every permission it needs."""
        self.root = root
        self.client_secret = "sandbox~graph.secret-value"  # noqa: S105 - protects nothing
        self.secret_state = "ok"  # noqa: S105 - a word
        self.app_registered = True
        self.consent = True
        self.roles = {CALENDARS, USERS, GROUPS}
        self.unavailable = False
        self.registered = ""
        self.grants: dict[str, datetime] = {}

    @property
    def graph_root(self) -> str:
        """Where the API is, without its version."""
        return f"{self.root}/microsoft"

    @property
    def authority(self) -> str:
        """Where the tenants sign in, without a tenant."""
        return f"{self.root}/microsoft/login"

    def certificate(self) -> dict[str, str]:
        """Register a certificate and return it as MSAL wants it: private_key, public_certificate.

        The SHA-1 ``thumbprint`` is given too, for clients that sign in the old way.
        """
        private, public, certificate = _pair()
        self.registered = public
        thumbprint = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - Entra's own
        return {
            "private_key": private,
            "public_certificate": public,
            "thumbprint": thumbprint.upper(),
        }

    def configuration(self, tenant: str, now: datetime) -> Reply:
        """Answer the OpenID configuration of a tenant."""
        self._check_tenant(tenant, now)
        base = f"{self.authority}/{self.tenant_id}"
        body = {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post", "private_key_jwt", "client_secret_basic",
            ],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/v2.0",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{self.graph_root}/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "http_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "tenant_region_scope": "NA",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }  # fmt: skip
        return Reply(200, body)

    def valid(self, token: str, now: datetime) -> bool:
        """Whether an access token was given and has not ended."""
        ends = self.grants.get(token)
        return ends is not None and ends > now

    def forget(self, token: str) -> None:
        """End an access token."""
        self.grants.pop(token, None)

    def exchange(self, tenant: str, form: bytes, now: datetime) -> Reply:
        """Answer a token request.

        Raises:
            Refusal: with the errors of the token endpoint.
        """
        fields = {name: values[-1] for name, values in parse_qs(form.decode("latin-1")).items()}
        if self.unavailable:
            raise self._refuse(
                now, 503, "temporarily_unavailable", 90033, "A transient error has occurred."
            )
        self._check_tenant(tenant, now)
        if fields.get("grant_type") != "client_credentials":
            raise self._refuse(
                now, 400, "unsupported_grant_type", 70003, "The grant type is not supported."
            )
        if fields.get("client_id") != self.client_id or not self.app_registered:
            named = fields.get("client_id", "")[:40]
            raise self._refuse(
                now, 400, "unauthorized_client", 700016,
                f"Application with identifier '{named}' was not found in the directory.",
            )  # fmt: skip
        self._check_client(fields, now)
        if fields.get("scope", "") not in (GRAPH_SCOPE, f"{self.graph_root}/.default"):
            raise self._refuse(
                now, 400, "invalid_scope", 1002012, "The provided value for scope is not valid."
            )
        if not self.consent:
            raise self._refuse(
                now, 400, "unauthorized_client", 65001,
                "The administrator has not consented to use the application.",
            )  # fmt: skip
        token = "EwBsandbox." + secrets.token_urlsafe(48)
        self.grants[token] = now + LIFETIME
        seconds = int(LIFETIME.total_seconds()) - 1
        body = {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }
        return Reply(200, body, {"cache-control": "no-store, no-cache"})

    def _check_tenant(self, tenant: str, now: datetime) -> None:
        if tenant.lower() in (self.tenant_id, self.domain):
            return
        if not _GUID.match(tenant) and not _DOMAIN.match(tenant):
            raise self._refuse(
                now, 400, "invalid_request", 900023,
                f"Specified tenant identifier '{tenant[:60]}' is neither a valid DNS name, nor a "
                "valid external domain.",
            )  # fmt: skip
        # The discovery endpoint has a word of its own for the same thing.
        raise self._refuse(now, 400, "invalid_tenant", 90002, f"Tenant '{tenant[:60]}' not found.")

    def _check_client(self, fields: dict[str, str], now: datetime) -> None:
        secret, assertion = fields.get("client_secret"), fields.get("client_assertion")
        if secret is not None:
            if secret != self.client_secret:
                raise self._refuse(
                    now, 401, "invalid_client", 7000215, "Invalid client secret provided."
                )
            if self.secret_state == "expired":  # noqa: S105 - a word
                raise self._refuse(
                    now, 401, "invalid_client", 7000222,
                    "The provided client secret keys for the app are expired.",
                )  # fmt: skip
        elif assertion is not None and fields.get("client_assertion_type") == ASSERTION:
            problem = self._problem_of(assertion, now)
            if problem:
                raise self._refuse(now, 401, "invalid_client", 700027, problem)
        else:
            raise self._refuse(
                now, 401, "invalid_client", 7000218,
                "The request body must contain 'client_assertion' or 'client_secret'.",
            )  # fmt: skip

    def _problem_of(self, assertion: str, now: datetime) -> str | None:
        """Say what is wrong with a signed assertion, None when nothing is."""
        try:
            head, claims, signature = assertion.split(".")
            header, content = json.loads(_decode(head)), json.loads(_decode(claims))
            seal = _decode(signature)
        except ValueError:
            return "Client assertion is malformed."
        if not self.registered:
            return "The certificate used to sign the client assertion is not registered."
        certificate = x509.load_pem_x509_certificate(self.registered.encode())
        der = certificate.public_bytes(serialization.Encoding.DER)
        prints = {
            "x5t": hashlib.sha1(der, usedforsecurity=False).digest(),
            "x5t#S256": hashlib.sha256(der).digest(),
        }
        # MSAL sends them with padding, others without.
        if not any(str(header.get(k)).rstrip("=") == _encode(v) for k, v in prints.items()):
            return "The key was not found by the thumbprint of the client assertion."
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101 - made so
        schemes: dict[str, Any] = {
            "RS256": padding.PKCS1v15(),
            "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), _SALT),
        }
        scheme = schemes.get(header.get("alg"))
        try:
            if scheme is None:
                raise InvalidSignature
            key.verify(seal, f"{head}.{claims}".encode(), scheme, hashes.SHA256())
        except InvalidSignature:
            return "Client assertion contains an invalid signature."
        return self._problem_of_claims(content, now)

    def _problem_of_claims(self, content: dict[str, Any], now: datetime) -> str | None:
        if content.get("iss") != self.client_id or content.get("sub") != self.client_id:
            return "Client assertion names another issuer or subject."
        base = f"{self.authority}/"
        homes = [f"{base}{t}" for t in (self.tenant_id, self.domain)]
        known = [f"{home}/oauth2/v2.0/token" for home in homes] + [f"{h}/v2.0" for h in homes]
        if content.get("aud") not in known:
            return "Client assertion audience is not this endpoint."
        expires, begins = content.get("exp"), content.get("nbf", 0)
        if not isinstance(expires, int | float) or expires < now.timestamp():
            return "Client assertion is not within its valid time range."
        if not isinstance(begins, int | float) or begins > (now + LEEWAY).timestamp():
            return "Client assertion is not within its valid time range."
        return None

    def _refuse(self, now: datetime, status: int, error: str, number: int, text: str) -> Refusal:
        trace = _guid(f"trace-{number}-{now.timestamp()}")
        correlation = _guid(f"correlation-{number}-{now.timestamp()}")
        stamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
        body = {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{self.authority}/error?code={number}",
        }
        return Refusal(Reply(status, body))


def _guid(seed: str) -> str:
    raw = hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
