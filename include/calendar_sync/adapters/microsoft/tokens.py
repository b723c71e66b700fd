"""One access token for the whole tenant, by client credentials.

MSAL makes the requests' content and knows the protocol; they are sent by our own client, so that
rates, certificates and silence are the same as everywhere.
https://learn.microsoft.com/entra/msal/python
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from calendar_sync.adapters.http import HttpClient
from calendar_sync.config.credentials import MicrosoftCredentials
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.codes import MicrosoftCode
from calendar_sync.core.errors import TenantMisconfigured, TransientError
from calendar_sync.core.model import to_second

# A discovery and the token itself.
REQUESTS = 4


@dataclass(frozen=True)
class _Request:
    """What MSAL wants to send."""

    method: str
    url: str
    form: Mapping[str, str] | None = field(repr=False)


class _Wanted(Exception):
    """MSAL needs an answer that is not there yet."""

    def __init__(self, request: _Request) -> None:
        super().__init__(request.method)
        self.request = request


@dataclass(frozen=True)
class _Response:
    """A successful answer in the form that MSAL reads."""

    text: str
    status_code: int = 200

    @property
    def headers(self) -> dict[str, str]:
        return {}

    def raise_for_status(self) -> None:
        """Only successful answers get here."""


class _Answers:
    """An HTTP client for MSAL that answers from what has been fetched, and asks for the rest."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], _Response] = {}

    def get(self, url: str, params: Any = None, **_: Any) -> _Response:
        return self._answer("GET", f"{url}?{urlencode(params)}" if params else url, None)

    def post(self, url: str, params: Any = None, data: Any = None, **_: Any) -> _Response:
        return self._answer("POST", f"{url}?{urlencode(params)}" if params else url, data)

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, method: str, url: str, form: Mapping[str, Any] | None) -> _Response:
        if (method, url) not in self.known:
            # MSAL makes assertions of certificates as bytes.
            text = {
                name: value.decode() if isinstance(value, bytes) else str(value)
                for name, value in (form or {}).items()
            }
            raise _Wanted(_Request(method, url, text or None))
        return self.known[method, url]


async def fetch_token(
    http: HttpClient, credentials: MicrosoftCredentials, now: datetime
) -> tuple[str, datetime]:
    """A token for all mailboxes of the tenant, and when it expires.

    Raises:
        TenantMisconfigured: tenant, client, secret, certificate or consent are wrong.
    """
    answers = _Answers()
    for _ in range(REQUESTS):
        try:
            return _token(_ask(credentials, answers), now)
        except _Wanted as wanted:
            request = wanted.request
        # Not inside the handler: no error shall carry what was to be sent.
        answer = await http.request(
            "microsoft.token" if request.method == "POST" else "microsoft.discovery",
            request.method,
            _path(request.url, credentials.authority),
            form=request.form,
        )
        answers.known[request.method, request.url] = _Response(json.dumps(answer.json))
    raise TransientError(MicrosoftCode.TOKEN_UNREADABLE)


def _ask(credentials: MicrosoftCredentials, answers: _Answers) -> Mapping[str, Any]:
    credential: str | dict[str, str] = credentials.secret
    if credentials.certificate:
        credential = {
            "private_key": credentials.private_key,
            "public_certificate": credentials.certificate,
        }
    # Half a hundred modules, for who has mailboxes there and no token that is still good.
    from msal import ConfidentialClientApplication

    try:
        client = ConfidentialClientApplication(
            credentials.client,
            client_credential=credential,
            authority=f"{credentials.authority}/{credentials.tenant}",
            # The connection names the authority; msal must not ask another host about it.
            instance_discovery=False,
            http_client=answers,
        )
        found: Mapping[str, Any] = client.acquire_token_for_client([credentials.scope])
    except _Wanted:
        raise
    except Exception:
        # MSAL looks at answers with great trust, and may quote them in its errors.
        raise TransientError(MicrosoftCode.TOKEN_UNREADABLE) from None
    return found


def _token(found: Mapping[str, Any], now: datetime) -> tuple[str, datetime]:
    token, lifetime = found.get("access_token"), found.get("expires_in")
    if not isinstance(token, str) or not token:
        raise TransientError(MicrosoftCode.TOKEN_UNREADABLE)
    seconds = int(str(lifetime)) if str(lifetime).isdecimal() else 0
    seconds = seconds if 0 < seconds < 100_000 else 3600
    return Hidden(token), to_second(now) + timedelta(seconds=seconds)


def _path(url: str, authority: str) -> str:
    """What follows the host; the secret is sent nowhere else.

    Raises:
        TenantMisconfigured: the discovery names another host.
    """
    address, own = urlsplit(url), urlsplit(authority)
    if (address.scheme, address.netloc.lower()) != (own.scheme, own.netloc.lower()):
        raise TenantMisconfigured(MicrosoftCode.FOREIGN_AUTHORITY, detail="the token endpoint")
    return address.path + (f"?{address.query}" if address.query else "")
