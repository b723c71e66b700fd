"""What a person may choose for their own calendar, and the choice; recorded with the author."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

from calendar_sync.config.mirror_content import DEFAULT, NONE
from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import (
    GOOGLE_COLOURS,
    Choices,
    DetailLevel,
    MappedUser,
    Platform,
)
from calendar_sync.state import Store

CHOSEN = "chosen"
#: Minutes before an appointment that are offered.
MINUTES = (0, 5, 10, 15, 30, 60, 120)
#: The categories of a new mailbox, as an English Outlook names them.
CATEGORIES = ("Red", "Orange", "Yellow", "Green", "Blue", "Purple")


@dataclass(frozen=True)
class Offer:
    """What may be chosen beside the organisation's (empty), and what is `chosen`."""

    levels: tuple[str, ...]
    reminders: tuple[str, ...]
    colours: tuple[str, ...]
    categories: tuple[str, ...]
    chosen: Choices

    def __bool__(self) -> bool:
        """Something may be chosen."""
        return any(self.possible.values())

    @property
    def possible(self) -> dict[str, tuple[str, ...]]:
        """The values by the name of the choice."""
        return {
            "level": self.levels,
            "reminder": self.reminders,
            "colour": self.colours,
            "category": self.categories,
        }


def offer(settings: Settings, rows: list[MappedUser]) -> Offer:
    """What the user with these rows may choose: what the settings of each of them allow."""
    synced = [row for row in rows if row.enabled and settings.knows(row.profile)]
    own = [settings.of(row.profile) for row in synced]
    may = set.intersection(*(set(one.people_may_choose) for one in own)) if own else set()
    shown = {level for one in own for level in _levels(one)}
    levels = tuple(level.value for level in DetailLevel if level in shown) if "level" in may else ()
    reminders = (DEFAULT, NONE, *map(str, MINUTES)) if "reminder" in may else ()
    there = {row.platform for row in synced} if "colour" in may else set()
    colours = (NONE, *GOOGLE_COLOURS) if Platform.GOOGLE in there else ()
    categories = (NONE, *_categories(own)) if Platform.MICROSOFT in there else ()
    chosen = rows[0].chosen if rows else Choices()
    return Offer(levels, reminders, colours, categories, chosen)


def choose(store: Store, user_id: str, chosen: Choices, author: str, now: datetime) -> None:
    """Store a choice; the next run applies it. What is not offered now stays as it was chosen.

    Raises:
        ConfigurationError: it is not offered.
    """
    rows = store.config.mapping(users=[user_id])
    offered = offer(store.config.revision().settings, rows)
    values = asdict(chosen)
    for name, possible in offered.possible.items():
        if values[name] not in {"", getattr(offered.chosen, name), *possible}:
            wrong = f"{values[name][:20]!r} is not offered"
            raise ConfigurationError(RequestCode.NOT_OFFERED, detail=wrong)
        if not possible:
            values[name] = getattr(offered.chosen, name)
    chosen = Choices(**values)
    said = " ".join(f"{name}={value or 'usual'}" for name, value in values.items())
    with store.database.write() as connection:
        store.choices.save(connection, user_id, chosen, now)
        store.marks.mark(connection, [(row.user_id, row.platform) for row in rows], now)
        for row in rows:
            user = (row.user_id, row.platform, row.account)
            store.audit.append_decision(connection, author, *user, CHOSEN, said, now)


def _categories(all_settings: Collection[Settings]) -> list[str]:
    """What the settings name, and what Outlook has anyway."""
    named = {name for one in all_settings for name in one.mirror_content.categories.values()}
    usual = (f"{colour} category" for colour in CATEGORIES)
    return list(dict.fromkeys((*sorted(named), *usual)))


def _levels(settings: Settings) -> set[DetailLevel]:
    """Levels that show less than these settings do."""
    content = settings.mirror_content
    most = max((content.title.level, content.description.level), key=list(DetailLevel).index)
    return set(list(DetailLevel)[: list(DetailLevel).index(most)])
