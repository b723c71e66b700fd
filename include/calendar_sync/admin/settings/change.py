"""A change of the settings on its way from the form to the state database."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from calendar_sync.admin.settings.words import choice, full_name, has_choices
from calendar_sync.admin.web.actions import author
from calendar_sync.admin.web.problems import Problem
from calendar_sync.config.differences import WITHOUT_EFFECT, Rebased, differences, in_words, rebase
from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changed:
    """One setting before and after, as people write it; `means` are the words of two choices."""

    name: str
    before: str
    after: str
    label: str = ""
    means: tuple[str, str] = ("", "")


def shown(one: Settings, other: Settings) -> list[Changed]:
    """What differs, in the order of the names."""
    return [
        Changed(
            name,
            in_words(before),
            in_words(after),
            full_name(name),
            (_means(name, before), _means(name, after)),
        )
        for name, (before, after) in sorted(differences(one, other).items())
    ]


def harmless(changed: Iterable[Changed]) -> bool:
    """Nothing of what is planned for anybody depends on what changes."""
    return all(each.name.partition(".")[0] in WITHOUT_EFFECT for each in changed)


def to_text(settings: Settings) -> str:
    """The settings as the form's next step carries them."""
    return json.dumps(settings.model_dump(mode="json"))


def from_text(document: str) -> Settings:
    """Those settings again; they are checked again, too.

    Raises:
        Problem: 422, names what is wrong.
    """
    try:
        read = json.loads(document)
    except (ValueError, RecursionError):
        raise Problem(422, "The settings cannot be read. Start with the form again.") from None
    return checked(read)


def checked(document: Any, warn: Callable[[str], None] = lambda message: None) -> Settings:
    """A document as settings, if it can be stored and shown as well.

    Args:
        document: what a form or a request says.
        warn: told each setting that is given by an old name.

    Raises:
        Problem: 422, names what is wrong.
    """
    try:
        settings = parse(document, warn=warn)
        text = json.dumps(settings.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
        if "\\u0000" in text:
            raise ValueError("NUL")
        text.encode()
    except ConfigurationError as error:
        raise Problem(422, error.detail) from None
    except (ValueError, RecursionError):
        raise Problem(422, "settings: a number or a character cannot be stored.") from None
    return settings


def save(request: Request, store: Store, wanted: Settings, based_on: int) -> tuple[int, bool]:
    """Store them; returns the number of the revision, and whether it is new.

    Raises:
        ConfigurationError: the settings were changed since `based_on`.
        Problem: 422, a profile is missing that somebody has.
    """
    now = SystemClock().now()
    try:
        number, new = store.config.save_settings(wanted, author(request), now, based_on=based_on)
    except ConfigurationError as error:
        if error.code == RequestCode.CHANGED_MEANWHILE:
            raise
        raise Problem(422, f"{error.detail}.") from None
    if new:
        logger.info("admin: %s stored revision %s of the settings", author(request), number)
    return number, new


def rebased(store: Store, wanted: Settings, based_on: int) -> tuple[Rebased, int]:
    """The change on top of the newest settings, and their number.

    Raises:
        Problem: together they are not valid.
    """
    newest = store.config.revision()
    try:
        base = store.config.revision_of(based_on)
        return rebase(base.settings, wanted, newest.settings), newest.id
    except ConfigurationError as error:
        raise Problem(422, f"The two changes cannot be combined: {error.detail}.") from None


def _means(name: str, value: Any) -> str:
    return choice(name, value) if isinstance(value, str) and has_choices(name) else ""
