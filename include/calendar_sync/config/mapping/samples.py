"""Rows that are there to be replaced: those of the example file, and mailboxes of reserved names.

RFC 2606 keeps example.org and the like for documentation: mailboxes there exist only in the
made-up staff of the sandbox, and that one runs beside us.
"""

import ipaddress
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser

#: How ids of the example file begin.
SAMPLE = "sample-"
_DOMAINS = frozenset({"example.com", "example.net", "example.org"})
_TOP = frozenset({"example", "invalid", "localhost", "test"})
_SHOWN = 5


def refuse_samples(rows: Iterable[MappedUser], welkin_host: Callable[[], str]) -> None:
    """Only the sandbox knows made-up people.

    Without a connection to Welkin, its kind is unknown: then only the rows of
    the example file are refused.

    Args:
        rows: what is about to be stored.
        welkin_host: the address of Welkin, empty where none is known; asked when it matters.

    Raises:
        ConfigurationError: names the rows.
    """
    found = [row for row in rows if _is_example(row) or _reserved(row.account)]
    if not found:
        return
    if not (host := welkin_host()):
        found = [row for row in found if _is_example(row)]
    if not found or _beside_us(host):
        return
    names = [f"{row.account} ({row.user_id})" for row in found[:_SHOWN]]
    if more := len(found) - len(names):
        names.append(f"{more} more")
    raise ConfigurationError(
        detail=f"these rows are samples without real mailboxes: {', '.join(names)}; write your "
        "own people instead (`calendar-sync mapping propose` finds them)"
    )


def _is_example(row: MappedUser) -> bool:
    return row.user_id.lower().startswith(SAMPLE)


def _reserved(account: str) -> bool:
    domain = account.rpartition("@")[2].lower()
    labels = domain.split(".")
    return "@" in account and (".".join(labels[-2:]) in _DOMAINS or labels[-1] in _TOP)


def _beside_us(address: str) -> bool:
    """A server of this machine or network: no Welkin of an organisation."""
    name = (urlsplit(address if "://" in address else f"//{address}").hostname or "").lower()
    try:
        return ipaddress.ip_address(name).is_private
    except ValueError:
        return bool(name) and ("." not in name or _reserved(f"@{name}"))
