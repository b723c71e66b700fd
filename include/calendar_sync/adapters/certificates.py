"""Whose certificates are trusted: to read them takes as long as a small task."""

import os
import ssl
import threading
from pathlib import Path

import httpx

from calendar_sync.core.errors import ConfigurationError


class _Read(threading.local):
    """What was read in this thread, and when its file was written: contexts are no two threads'."""

    def __init__(self) -> None:
        self.contexts: dict[str, tuple[int, ssl.SSLContext]] = {}


_read = _Read()


def ssl_context(verify: str | bool = True) -> ssl.SSLContext:
    """What checks the certificates of all clients of this thread; read again when the file changes.

    Args:
        verify: the path of a file of authorities; the usual ones without.

    Raises:
        ConfigurationError: there is no such file.
    """
    path = verify if isinstance(verify, str) else os.environ.get("SSL_CERT_FILE", "")
    try:
        changed = Path(path).stat().st_mtime_ns if path else 0
        known = _read.contexts.get(path)
        if known is None or known[0] != changed:
            made = ssl.create_default_context(cafile=path) if path else httpx.create_ssl_context()
            known = _read.contexts[path] = changed, made
    except OSError:
        name = "verify" if isinstance(verify, str) else "SSL_CERT_FILE"
        raise ConfigurationError(detail=f"the CA bundle named in {name} is missing") from None
    return known[1]
