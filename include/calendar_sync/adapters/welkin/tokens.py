"""Welkin's access token: `POST {token_path}` with the client's secret, valid for an hour."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from calendar_sync.adapters.http import HttpClient
from calendar_sync.config.credentials import WelkinCredentials
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.bounded import read_json
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.errors import BadItem, NotFound, TenantMisconfigured, TransientError
from calendar_sync.core.model import parse_iso

LIFETIME = timedelta(minutes=55)


async def fetch_token(
    http: HttpClient, credentials: WelkinCredentials, now: datetime
) -> tuple[str, datetime]:
    """A token and when it expires (from the JWT, else `expiresAt`, else in 55 minutes).

    Raises:
        TenantMisconfigured: organisation, client name or secret is wrong, or it is disabled.
    """
    path = credentials.token_path.format(tenant=credentials.tenant, client=credentials.client)
    try:
        answer = await http.request(
            "welkin.token", "POST", path, json={"secret": credentials.secret}
        )
    except (NotFound, BadItem) as error:
        raise TenantMisconfigured(WelkinCode.CLIENT_UNKNOWN, detail=error.detail) from None
    body = answer.json if isinstance(answer.json, Mapping) else {}
    token = body.get("token")
    if not isinstance(token, str) or not token:
        raise TransientError(WelkinCode.TOKEN_UNREADABLE)
    return Hidden(token), _expiry(token, body.get("expiresAt"), now)


def _expiry(token: str, fallback: Any, now: datetime) -> datetime:
    try:
        payload = token.split(".")[1]
        claims = read_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        pass
    try:
        expires = parse_iso(fallback) if isinstance(fallback, str) else None
    except ValueError:
        expires = None
    return expires if isinstance(expires, datetime) else now + LIFETIME
