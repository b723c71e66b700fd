"""Seals of the audit log, kept where those who write in the state database cannot change them.

If the end of the chain was removed, rows, runs and all, the rest is still consistent: only a seal
that was kept elsewhere shows it. Each run's log has one, and the deployment may name more places in
`CALENDAR_SYNC_SEAL_SINKS` (separated by spaces; never a setting, which a page can edit):

    file:/path             one line of JSON a seal, appended
    syslog:/dev/log        or syslog://host:514 (UDP)
    https://host/path      a POST of the same JSON; a redirection is not followed
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from calendar_sync.adapters.http import send_once
from calendar_sync.core.codes import SyncCode
from calendar_sync.core.errors import ConfigurationError, TransientError
from calendar_sync.core.model import iso
from calendar_sync.core.redaction import describe
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

VARIABLE = "CALENDAR_SYNC_SEAL_SINKS"
SECONDS = 10.0
LENGTH = 40
#: So many bytes at the end of a file certainly contain its last line.
TAIL = 4096


def seal(store: Store, run_id: str, now: datetime) -> str:
    """Seal what has no seal yet, and write a new seal to each place; returns the newest.

    If a place cannot be written, this is logged and nothing fails: the log itself has the seal.
    """
    before, _ = store.audit.newest()
    made = store.audit.seal(run_id, now)
    if made and made != before:
        note = json.dumps({"at": iso(now), "run_id": run_id, "seal": made})
        for place in _places():
            try:
                _sender(place)(note)
            except Exception as error:
                logger.warning("audit seal not stored at %s: %s", _name(place), describe(error))
    return made


def verify(store: Store, given: Iterable[str] = ()) -> list[str]:
    """The problems of the audit log, also compared with the given seals and files of seals.

    Raises:
        ConfigurationError: one of those given is no seal.
    """
    wanted, problems = [], []
    for text in given:
        one = text.strip().lower()
        if len(one) != LENGTH or not set(one) <= set("0123456789abcdef"):
            raise ConfigurationError(
                detail=f"a seal has {LENGTH} hexadecimal digits, see the log of a run"
            )
        wanted.append(one)
    for place in _places():
        if place.startswith("file:"):
            try:
                wanted += _last_of(Path(place.removeprefix("file:")))
            except ConfigurationError as error:
                problems.append(error.detail)
    return [*problems, *(store.audit.verify(wanted) if wanted else store.audit.verify())]


def _last_of(file: Path) -> list[str]:
    """The seal in the file's last line; none where there is no file yet.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL))
            lines = opened.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(detail=f"{file}: {type(error).__name__}") from None
    try:
        return [str(json.loads(lines[-1])["seal"])] if lines else []
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(detail=f"{file}: its last line has no seal") from None


def _places() -> list[str]:
    return os.environ.get(VARIABLE, "").split()


def _name(place: str) -> str:
    """A place as it may be logged: an address without its path, which may be a secret."""
    return place if not place.startswith("https:") else f"https://{urlsplit(place).hostname}"


def _sender(place: str) -> Callable[[str], None]:
    kind = place.partition(":")[0]
    if kind not in _SENDERS:
        raise ConfigurationError(detail=f"{VARIABLE}: file:, syslog: or https:// and a place")
    return lambda note: _SENDERS[kind](place, note)


def _to_file(place: str, note: str) -> None:
    name = place.removeprefix("file:")
    opened = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, f"{note}\n".encode())
        os.fsync(opened)
    finally:
        os.close(opened)


class _Syslog(SysLogHandler):
    """Tells its caller what went wrong."""

    def handleError(self, record: logging.LogRecord) -> None:
        """What the base class prints."""
        raise


def _to_syslog(place: str, note: str) -> None:
    parts = urlsplit(place)
    address: Any = (parts.hostname, parts.port or 514) if parts.hostname else parts.path
    handler = _Syslog(address or "/dev/log", facility=SysLogHandler.LOG_AUTHPRIV)
    try:
        text = f"calendar-sync audit seal {note}"
        handler.emit(logging.LogRecord(__name__, logging.INFO, "", 0, text, None, None))
    finally:
        handler.close()


def _to_https(place: str, note: str) -> None:
    status, _ = send_once("POST", place, note.encode(), seconds=SECONDS)
    if not 200 <= status < 300:
        raise TransientError(SyncCode.SEAL_REFUSED, detail=str(status))


_SENDERS: dict[str, Callable[[str, str], None]] = {
    "file": _to_file,
    "syslog": _to_syslog,
    "https": _to_https,
}
