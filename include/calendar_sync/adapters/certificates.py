"""Whose certificates are trusted: read once in a process, which takes as long as a small task."""

import ssl
from functools import lru_cache
from pathlib import Path

import httpx

from calendar_sync.core.errors import ConfigurationError


def ssl_context(verify: str | bool = True) -> ssl.SSLContext:
    """What checks the certificates of all clients of this process.

    Args:
        verify: the path of a file of authorities; the usual ones without.

    Raises:
        ConfigurationError: there is no such file.
    """
    if not isinstance(verify, str):
        return _usual()
    try:
        return _of_file(verify, Path(verify).stat().st_mtime_ns)
    except OSError:
        raise ConfigurationError(detail="the CA bundle named in verify is missing") from None


@lru_cache(maxsize=8)
def _of_file(path: str, changed: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


@lru_cache(maxsize=1)
def _usual() -> ssl.SSLContext:
    return httpx.create_ssl_context()
