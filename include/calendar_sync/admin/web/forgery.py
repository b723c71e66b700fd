"""Against requests that another site makes a signed-in browser send.

Each form carries a token that is signed for its user and some hours; scripts send it as a header.
The browser's own word on where a request comes from (Origin, Sec-Fetch-Site) is checked as well.
"""

import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from starlette.datastructures import Headers

FIELD = "csrf_token"
HEADER = "x-csrf-token"
LASTS = timedelta(hours=12)


def token(secret: bytes, user_id: str, now: datetime) -> str:
    """A token for this user's forms."""
    at = str(int(now.timestamp()))
    return f"{at}.{_sign(secret, user_id, at)}"


def is_valid(secret: bytes, user_id: str, given: str, now: datetime) -> bool:
    """Made by us, for this user, not long ago."""
    at, _, signature = given.partition(".")
    if not at.isascii() or not at.isdigit() or len(at) > 12:
        return False
    age = now.timestamp() - int(at)
    signed = hmac.compare_digest(signature.encode(), _sign(secret, user_id, at).encode())
    return signed and -60 <= age <= LASTS.total_seconds()


def same_origin(headers: Headers, allowed: Collection[str]) -> bool:
    """The browser does not say that another site sends this.

    Behind a proxy that ends TLS the scheme differs, so the request's own host is compared alone.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    host = headers.get("host", "")
    try:
        own = bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
    return origin.lower() in allowed or own


def _sign(secret: bytes, user_id: str, at: str) -> str:
    return hmac.new(secret, f"{at}\n{user_id}".encode(), hashlib.sha256).hexdigest()
