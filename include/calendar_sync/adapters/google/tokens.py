"""Access tokens by domain-wide delegation: one per account, for an hour.

The assertion is signed here and posted through our own client, for full sight of the error.
https://developers.google.com/identity/protocols/oauth2/service-account
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from calendar_sync.adapters.http import HttpClient
from calendar_sync.config.credentials import GoogleCredentials
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.codes import GoogleCode
from calendar_sync.core.errors import ConfigurationError, TransientError
from calendar_sync.core.model import to_second

# Google takes no assertion from the future; one issued a while ago is as good for the same token.
CLOCK_MARGIN = timedelta(minutes=10)
SCOPE = "https://www.googleapis.com/auth/calendar.events"
FREEBUSY_SCOPE = "https://www.googleapis.com/auth/calendar.freebusy"
CALENDAR_LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
CALENDAR_MAKING_SCOPE = "https://www.googleapis.com/auth/calendar.app.created"
DIRECTORY_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
GROUPS_SCOPE = "https://www.googleapis.com/auth/admin.directory.group.member.readonly"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def fetch_token(
    http: HttpClient,
    credentials: GoogleCredentials,
    path: str,
    account: str,
    now: datetime,
    scope: str = SCOPE,
) -> tuple[str, datetime]:
    """A token that acts as `account`, and when it expires.

    Without an account it acts as the service account itself: that proves the key alone.
    One scope a token: a single one that was not authorised fails the whole request.

    Raises:
        UserUnavailable: this account is unknown, suspended or refused.
        TenantMisconfigured: the delegation, the key or the scope is wrong for everybody.
        ConfigurationError: the private key cannot be read.
    """
    issued = to_second(now) - CLOCK_MARGIN
    claims = {
        "iss": credentials.client_email,
        "scope": scope,
        "aud": credentials.token_uri,
        "iat": int(issued.timestamp()),
        "exp": int((issued + timedelta(hours=1)).timestamp()),
    }
    if account:
        claims["sub"] = account
    try:
        signer = _signer(credentials.private_key, credentials.private_key_id)
    except ValueError:
        raise ConfigurationError(detail="keyfile_dict.private_key cannot be read") from None
    # Imported where it is needed: once an hour.
    from google.auth import jwt

    assertion = Hidden(jwt.encode(signer, claims).decode())  # type: ignore[no-untyped-call]
    answer = await http.request(
        "google.token", "POST", path, form={"grant_type": GRANT, "assertion": assertion}
    )
    body = answer.json if isinstance(answer.json, Mapping) else {}
    token, lifetime = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not token:
        raise TransientError(GoogleCode.TOKEN_UNREADABLE)
    seconds = lifetime if isinstance(lifetime, int) and 0 < lifetime < 86_400 else 3600
    return Hidden(token), to_second(now) + timedelta(seconds=seconds)


@lru_cache(maxsize=2)
def _signer(private_key: str, key_id: str) -> Any:
    """Reading a key takes longer than a whole request, and every account needs its token."""
    from google.auth import crypt

    return crypt.RSASigner.from_string(private_key, key_id)  # type: ignore[no-untyped-call]
