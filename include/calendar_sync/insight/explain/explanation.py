"""What an explanation consists of: the same for the command line and for pages.

Nothing here ever holds patient data, titles or other text of events: ids, staff accounts, codes,
times of runs and writes, and names of encounter templates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

PASSES, DECIDES, NOT_ASKED = "passes", "decides", "not asked"


@dataclass(frozen=True)
class Rule:
    """One rule, in the order of asking; at most one decides, those after it are not asked.

    `text` says what is so where it passes.
    """

    name: str
    outcome: str
    text: str


@dataclass(frozen=True)
class Fact:
    """Something that is so."""

    name: str
    value: str


@dataclass(frozen=True)
class Part:
    """The answer for one (user, platform): a word for programs, a sentence for people."""

    user_id: str
    account: str
    platform: str
    verdict: str
    text: str
    rules: tuple[Rule, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why: `text` says what the id is, `parts` what that means for each (user, platform).

    `looked_at` and `hints` are for ids of which nothing is known.
    """

    about: str
    id: str
    found: bool
    text: str
    facts: tuple[Fact, ...] = ()
    parts: tuple[Part, ...] = ()
    looked_at: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rules(names: Iterable[str], decided: str | None, texts: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules in their order, up to the one that decided."""
    found, over = [], False
    for name in names:
        outcome = NOT_ASKED if over else DECIDES if name == decided else PASSES
        over = over or name == decided
        found.append(Rule(name, outcome, texts[name]))
    return tuple(found)


def when(moment: datetime | None, now: datetime) -> str:
    """A time of day today (UTC), else with its date."""
    if moment is None:
        return "never"
    form = "%H:%M:%S UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(form)
