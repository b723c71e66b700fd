"""Which notifiers there are, and what the settings may give them: the deployment says, not they.

Settings are written by people who may not see the server: an argument of theirs must not name a
file, a module, a command, a connection or a host. So mail takes addresses and texts, and each
other notifier is named, with its fixed arguments, in the environment of Airflow's processes.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calendar_sync.errors import ConfigurationError

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
VARIABLE = "CALENDAR_SYNC_NOTIFIERS"
LONGEST_TEXT = 10_000
MOST_TEXTS = 100
_ADDRESSES = frozenset({"to", "cc", "bcc", "from_email"})
_TEXTS = frozenset({"subject", "html_content"})
_KEYS = frozenset({"arguments", "from_settings"})


@dataclass(frozen=True)
class Allowed:
    """One notifier: what it is always made with, and which arguments the settings may add."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    from_settings: frozenset[str] = frozenset()


_MAIL = Allowed(from_settings=_ADDRESSES | _TEXTS)


def allowed(name: str) -> Allowed:
    """The notifier of this name.

    Raises:
        ConfigurationError: the deployment names no such notifier, or names it wrongly.
    """
    named = _deployed()
    if name in named:
        return named[name]
    if name == SMTP:
        return _MAIL
    others = f", or one of {', '.join(sorted(named))}" if named else ""
    raise ConfigurationError(
        detail=f"{name[:200]} is not allowed: mail ({SMTP}){others}; others are named by "
        f"{VARIABLE} in the environment of Airflow's processes"
    )


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """The settings may give these arguments to this notifier.

    Raises:
        ConfigurationError: says which not, and why.
    """
    may = allowed(name).from_settings
    for key, value in arguments.items():
        if key not in may:
            what = ", ".join(sorted(may)) or "none"
            raise ConfigurationError(
                detail=f"{key[:200]} cannot come from the settings: it might name a file, a "
                f"connection or a host; possible: {what}"
            )
        for text in _texts(key, value):
            if name == SMTP and key in _ADDRESSES:
                check_address(text)
            if name == SMTP and key == "subject" and not text.isprintable():
                raise ConfigurationError(detail="subject is one line")


def check_address(text: str) -> None:
    """An e-mail address, and nothing that would begin another header.

    Raises:
        ConfigurationError: it is none.
    """
    name, _, domain = text.partition("@")
    if not (name and domain) or not text.isprintable() or any(sign in text for sign in " ,;<>"):
        raise ConfigurationError(detail=f"{text[:320]!r} is not an e-mail address")


def _texts(key: str, value: Any) -> Iterator[str]:
    many = isinstance(value, list | tuple)
    texts = value if many else [value]
    if len(texts) > MOST_TEXTS:
        raise ConfigurationError(detail=f"{key} has more than {MOST_TEXTS} entries")
    for text in texts:
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise ConfigurationError(detail=f"{key} is a text, or a list of texts")
        yield text


def _deployed() -> dict[str, Allowed]:
    """What the environment says."""
    try:
        found = json.loads(os.environ.get(VARIABLE) or "{}")
        return {name: _one(each) for name, each in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ConfigurationError(
            detail=f"{VARIABLE} cannot be read: it is a JSON object of notifiers' classes, each "
            'with {"arguments": {…}, "from_settings": […]}'
        ) from None


def _one(each: Any) -> Allowed:
    names = each.get("from_settings", [])
    if each.keys() - _KEYS or not isinstance(names, list):
        raise ValueError
    return Allowed(dict(each.get("arguments", {})), frozenset(map(str, names)))
