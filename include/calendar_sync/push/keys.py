"""Secrets of push, all made from one key, so that none of them is stored.

The receiver faces the internet and needs that one key only. It is derived from the organisation's,
which it cannot be turned back into: whoever takes it can send notices, and nothing else.
"""

import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from calendar_sync.config.credentials import HMAC_KEY
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.bounded import TooMuch, read_file
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.identity import derived, push_key

KEY_VARIABLE = "CALENDAR_SYNC_PUSH_KEY"
KEY_FILE_VARIABLE = "CALENDAR_SYNC_PUSH_KEY_FILE"
CONNECTION_VARIABLE = f"AIRFLOW_CONN_{HMAC_KEY.upper()}"
#: The header of Welkin's webhooks.
WELKIN_HEADER = "X-Calendar-Sync-Secret"
LARGEST_FILE = 4096


def channel_token(key: str, channel_id: str) -> str:
    """What a notice for this channel must carry: 43 characters."""
    return Hidden(derived(key, "channel", channel_id))


def welkin_secret(key: str) -> str:
    """What a webhook of Welkin's must carry in its header."""
    return Hidden(derived(key, "welkin"))


def same(one: str, other: str) -> bool:
    """Compare in a time that does not depend on what is alike."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def find_key(environment: Mapping[str, str] = os.environ) -> str:
    """The receiver's key, from its environment; Airflow is not asked.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    if key := environment.get(KEY_VARIABLE, "").strip():
        return Hidden(key)
    if name := environment.get(KEY_FILE_VARIABLE, "").strip():
        try:
            text = read_file(Path(name), LARGEST_FILE).decode().strip()
        except (OSError, TooMuch, ValueError) as error:
            detail = f"{KEY_FILE_VARIABLE}: the file cannot be read ({type(error).__name__})"
            raise ConfigurationError(detail=detail) from None
        if not text:
            raise ConfigurationError(detail=f"{KEY_FILE_VARIABLE}: the file is empty")
        return Hidden(text)
    if connection := environment.get(CONNECTION_VARIABLE, "").strip():
        return push_key(_password(connection))
    raise ConfigurationError(
        detail=f"the receiver needs {KEY_VARIABLE} or {KEY_FILE_VARIABLE}: print the key with "
        "`calendar-sync receive --secrets` where Airflow is installed"
    )


def _password(connection: str) -> str:
    """The password of a connection as Airflow reads it from the environment: a URI, or JSON."""
    found: object = ""
    try:
        if connection.startswith("{"):
            found = json.loads(connection).get("password")
        else:
            found = unquote(urlsplit(connection).password or "")
    except ValueError:
        pass
    if not isinstance(found, str) or not found:
        raise ConfigurationError(detail=f"{CONNECTION_VARIABLE} has no password")
    return found
