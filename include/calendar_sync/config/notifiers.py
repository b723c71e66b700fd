"""Which notifiers there are, and what the settings may give them: the deployment says, not they.

Settings are written by people who may not see the server: an argument of theirs must not name a
file, a module, a command, a connection or a host. So mail takes addresses and texts, and each
other notifier is named, with its fixed arguments, in the environment of Airflow's processes.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from calendar_sync.config.sections import STORED, Section
from calendar_sync.core.errors import ConfigurationError

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
                raise ConfigurationError(detail="subject must be one line")


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


# --- the section of the settings ----------------------------------------------------------------


class Notify(Section):
    """Recipients and notifier. Without `to` no e-mail is sent; reports are stored anyway.

    `notifier` is mail, or one that the deployment names in its environment, and `arguments` are
    those that it leaves to the settings; in texts `{subject}`, `{html}` and `{text}` stand for the
    message.
    """

    to: tuple[str, ...] = ()
    """E-mail addresses, for the e-mail notifier."""
    notifier: str = Field(default=SMTP, pattern=r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+$")
    """Class of an Airflow notifier that the deployment allows."""
    arguments: dict[str, str | tuple[str, ...]] = Field(default={})
    """Arguments of the notifier; e-mail: `cc`, `bcc`, `from_email`, `subject`, `html_content`."""
    daily_summary: bool = True
    """Send a report every day."""
    alerts: bool = True
    """Send an alert when the sync stops or is late."""
    alert_again_hours: float = Field(default=6, gt=0, le=168)
    """Repeat an alert after this time while the problem continues."""
    to_people: tuple[Literal["not_synced", "put_back", "visit_over_busy"], ...] = ()
    """Of what a person gets an e-mail: their calendar is not synced, their edit was put back, a
    visit is booked over their busy time."""

    @field_validator("to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            _or_value_error(check_address, address)
        return value

    @field_validator("to_people", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        # As it was before there were kinds.
        if isinstance(value, bool):
            return ("not_synced", "put_back") if value else ()
        return value

    @field_validator("notifier")
    @classmethod
    def _is_allowed(cls, value: str, info: ValidationInfo) -> str:
        if info.context != STORED:
            _or_value_error(allowed, value)
        return value

    @field_validator("arguments", mode="before")
    @classmethod
    def _are_allowed(cls, value: Any, info: ValidationInfo) -> Any:
        # What an earlier version has stored is told of where it is used: see `refusal`.
        if info.context == STORED:
            return {} if not isinstance(value, dict) else _plain(value)
        notifier = info.data.get("notifier")
        if notifier is not None and isinstance(value, dict):
            named = {str(key): inner for key, inner in value.items()}
            _or_value_error(check_arguments, notifier, named)
        return value

    @model_validator(mode="after")
    def _addresses_are_for_mail(self) -> Self:
        if self.to and self.notifier != SMTP:
            raise ValueError("`to` is for e-mail only: use `arguments` for other notifiers")
        if self.to_people and self.notifier != SMTP:
            raise ValueError("`to_people` is for e-mail only")
        return self

    def only_to(self, address: str) -> "Notify":
        """The same for a message to one person alone: nobody gets a copy."""
        sender = {key: value for key, value in self.arguments.items() if key == "from_email"}
        return self.model_copy(update={"to": (address,), "arguments": sender})

    @property
    def configured(self) -> bool:
        """Messages are sent."""
        return bool(self.to or self.arguments) or self.notifier != SMTP

    @property
    def refusal(self) -> str:
        """Why nothing is sent this way, where settings of before hold what is not allowed."""
        try:
            check_arguments(self.notifier, self.arguments)
        except ConfigurationError as error:
            return f"notify: {error.detail}"
        return ""

    @property
    def filled(self) -> dict[str, Any]:
        """The notifier's arguments, with placeholders."""
        fixed = allowed(self.notifier).arguments
        if self.notifier != SMTP:
            return {**self.arguments, **fixed}
        mail = {"to": list(self.to), "subject": "{subject}", "html_content": "{html}"}
        return {**mail, **self.arguments, **fixed}


def _or_value_error(check: Callable[..., object], *values: Any) -> None:
    try:
        check(*values)
    except ConfigurationError as error:
        raise ValueError(error.detail) from None


def _plain(arguments: dict[Any, Any]) -> dict[str, Any]:
    """Stored arguments of any kind as texts: to be shown and refused, never used."""
    return {
        str(key): tuple(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for key, value in arguments.items()
    }
