"""The settings of an organisation: a typed model that is rejected as a whole if a part is wrong.

`parse` reads a mapping from YAML or a stored revision.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError, field_validator

from calendar_sync.config.mirror_content import TEXT_FIELDS as TEXT_FIELDS
from calendar_sync.config.mirror_content import BaaConfirmed as BaaConfirmed
from calendar_sync.config.mirror_content import MirrorContent as MirrorContent
from calendar_sync.config.mirror_content import Text as Text
from calendar_sync.config.notifiers import Notify as Notify
from calendar_sync.config.pace import Freshness as Freshness
from calendar_sync.config.pace import Limits as Limits
from calendar_sync.config.pace import Notice as Notice
from calendar_sync.config.pace import Polling as Polling
from calendar_sync.config.push import Push
from calendar_sync.config.renames import with_new_names
from calendar_sync.config.sections import STORED, Section, matches, nearest
from calendar_sync.core.bounded import TooMuch, refuse_deep
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, Platform, Window, zone_or_none

PRIMARY = "primary"
#: The total number of values in a document.
MOST_VALUES = 20_000
_SHOWN = 20


class EncounterTypes(Section):
    """Which appointments get mirrors: names of encounter templates and of plain event types.

    `*` and `?` are wildcards; case does not matter. `exclude` wins over `include`.
    """

    include: tuple[str, ...] = ("*",)
    """Types to sync."""
    exclude: tuple[str, ...] = ()
    """Types to exclude, even if `include` matches."""
    unknown_type: Literal["skip", "include"] = "skip"
    """Encounters without a template in Welkin: `skip` excludes them."""

    def wants(self, name: str) -> bool:
        """This template or event type is synced."""
        return matches(name, self.include) and not matches(name, self.exclude)


class Windows(Section):
    """How far the sync looks, in days from now. Blocks begin today."""

    mirrors_past_days: int = Field(default=30, ge=0, le=366)
    """How many days back mirrors are kept up to date."""
    mirrors_future_days: int = Field(default=365, ge=1, le=730)
    """How many days ahead mirrors are created."""
    blocks_future_days: int = Field(default=120, ge=1, le=730)
    """How many days ahead blocks are created."""


class IgnoreExternal(Section):
    """Events that never block, such as copies of visits that another integration makes."""

    creators: tuple[str, ...] = ()
    """Addresses of creators; `*` and `?` are wildcards."""
    organizers: tuple[str, ...] = ()
    """Addresses of organisers; `*` and `?` are wildcards."""
    ical_uids: tuple[str, ...] = ()
    """iCalUIDs; `*` and `?` are wildcards."""
    sources: tuple[str, ...] = ()
    """URLs of sources; `*` and `?` are wildcards. Google only."""

    def ignores(
        self,
        creator: str | None,
        organizer: str | None,
        ical_uid: str | None,
        source_url: str | None = None,
    ) -> bool:
        """Some pattern matches."""
        return (
            matches(creator, self.creators)
            or matches(organizer, self.organizers)
            or matches(ical_uid, self.ical_uids)
            or matches(source_url, self.sources)
        )


class BlockTime(Section):
    """How busy time in the calendar becomes unavailable time in Welkin."""

    enabled: bool = True
    """Create blocks. If this is off, existing blocks are deleted."""
    tentative: bool = False
    """Tentative events and unanswered invitations block time."""
    all_day: Literal["block", "ignore"] = "block"
    """`block`: busy all-day events block the whole day; `ignore`: they do not block."""
    all_day_write: Literal["flag", "timed"] = "flag"
    """`flag`: as all-day events in Welkin; `timed`: from midnight to midnight."""
    block_title: Literal["fixed", "event_title"] = "fixed"
    """`event_title`: the title of the event, unless it is private; `fixed`: that of `title`."""
    title: str = Field(default="Busy", min_length=1, max_length=200)
    """The title of blocks in Welkin."""
    block_edited: Literal["restore", "accept"] = "restore"
    """A block edited or deleted in Welkin: `restore` it, or `accept` the change."""
    duplicates: Literal["warn", "block"] = "warn"
    """Events at the times of many visits: `warn` reports them without blocks, `block` blocks."""
    ignore_external: IgnoreExternal = IgnoreExternal()
    """Events that never block."""
    instances_per_series: int = Field(default=500, ge=1, le=2500)
    """Of a longer series, only the nearest instances get blocks."""


class Calendars(Section):
    """Which calendars of an account count as busy, and where mirrors go."""

    busy: tuple[str, ...] = (PRIMARY,)
    """Ids of calendars that count as busy; `primary` is the main one. Each is polled."""
    mirrors: str = PRIMARY
    """Id of the calendar for mirrors."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every calendar that a cycle reads, the mirrors' first."""
        return (self.mirrors, *(name for name in self.busy if name != self.mirrors))


class DeletionGuard(Section):
    """How many events one sync of a user may delete because the other side was not found."""

    max_deletions: int = Field(default=10, ge=0)
    """Up to this many deletions for one user need no approval."""
    max_share: float = Field(default=0.2, ge=0, le=1)
    """Or this share of the user's mirrors and blocks, if that is more (0.2 is a fifth)."""

    def allows(self, removals: int, live: int) -> bool:
        """`removals` of `live` links need no approval."""
        return removals <= max(self.max_deletions, int(self.max_share * live))


class Settings(Section):
    """All settings."""

    time_zone: str = "UTC"
    """IANA time zone, such as America/New_York, of users for whom Welkin has none."""
    direction: dict[Platform, Direction] = Field(default={})
    """What is written, by calendar system. A direction in the mapping takes precedence."""
    encounter_types: EncounterTypes = EncounterTypes()
    """Which appointments to sync."""
    windows: Windows = Windows()
    """How far ahead and back to sync."""
    block_time: BlockTime = BlockTime()
    """Blocks in Welkin."""
    calendars: dict[Platform, Calendars] = Field(default={})
    """Calendars to read and write, by calendar system."""
    mirror_content: MirrorContent = MirrorContent()
    """What a mirror shows."""
    mirror_moved: Literal["restore", "reschedule", "report"] = "restore"
    """A mirror moved by hand: restore it, reschedule the appointment, or only report it."""
    mirror_deleted: Literal["restore", "cancel", "report"] = "restore"
    """A mirror deleted by hand: restore it, cancel the appointment, or only report it."""
    both_changed: Literal["welkin_wins", "report"] = "welkin_wins"
    """A mirror edited by hand whose appointment was also changed."""
    on_unmapped: Literal["remove", "keep"] = "remove"
    """Mirrors and blocks of users who are no longer mapped, are disabled or inactive."""
    deletion_guard: DeletionGuard = DeletionGuard()
    """When deletions need approval."""
    polling: Polling = Polling()
    """How often accounts are checked for changes."""
    push: Push = Push()
    """Whether calendar systems tell of changes themselves."""
    notice: Notice = Notice()
    """How often changes in Welkin are looked for."""
    freshness: Freshness = Freshness()
    """When a change is late."""
    notify: Notify = Notify()
    """Recipients of alerts and reports."""
    limits: Limits = Limits()
    """Rates and sizes."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if zone_or_none(value) is None:
            raise ValueError("not an IANA time zone")
        return value

    def direction_of(self, platform: Platform, override: Direction | None) -> Direction:
        """The user's own direction, else the platform's, else both ways."""
        return override or self.direction.get(platform, Direction.BIDIRECTIONAL)

    def calendars_of(self, platform: Platform) -> Calendars:
        """The platform's calendars, primary only unless set."""
        return self.calendars.get(platform, Calendars())

    def zone(self, *names: str | None) -> ZoneInfo:
        """The first known of these zones, else the organisation's."""
        for name in names:
            if zone := zone_or_none(name):
                return zone
        return ZoneInfo(self.time_zone)

    def mirror_window(self, now: datetime) -> Window:
        """Where appointments get mirrors."""
        past = timedelta(days=self.windows.mirrors_past_days)
        return Window(now - past, now + timedelta(days=self.windows.mirrors_future_days))

    def block_window(self, now: datetime, zone: ZoneInfo) -> Window:
        """Where busy time gets blocks: from midnight today in the user's zone."""
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        end = now + timedelta(days=self.windows.blocks_future_days)
        return Window(midnight.astimezone(now.tzinfo), end)

    def list_window(self, now: datetime) -> Window:
        """What a full read of a calendar covers: both windows and two weeks to come."""
        mirrors = self.mirror_window(now)
        ahead = max(self.windows.mirrors_future_days, self.windows.blocks_future_days) + 14
        past = min(mirrors.start, now - timedelta(days=2))
        return Window(past, now + timedelta(days=ahead))


def parse(
    document: Any,
    where: Callable[[tuple[str | int, ...]], str] = lambda path: "",
    *,
    stored: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> Settings:
    """Settings from a mapping.

    Args:
        document: from a file, a request or a stored revision.
        where: returns the place of a value in the file by its path, for messages.
        stored: it was accepted before. A notifier that is no longer allowed is kept, and
            `Notify.refusal` gives the reason: it must not stop the sync.
        warn: called for each setting that is given by its old name.

    Raises:
        ConfigurationError: names each wrong key and, for an unknown one, the nearest known name;
            or a setting is given by both its old and its new name.
    """
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigurationError(detail="settings: a mapping is expected")
    try:
        refuse_deep(document, most=MOST_VALUES)
        current = with_new_names(document)
        found = Settings.model_validate(current.document, context=STORED if stored else None)
    except TooMuch as error:
        raise ConfigurationError(detail=f"settings: {error}") from None
    except ValidationError as error:
        lines = []
        problems = error.errors(include_input=False, include_url=False)
        for problem in problems[:_SHOWN]:
            path = problem["loc"]
            name = ".".join(str(part)[:100] for part in path)
            message = problem["msg"]
            if problem["type"] == "extra_forbidden":
                message = "unknown setting" + nearest(str(path[-1]), _known_names())
            place = where(current.path_of(path))
            lines.append(f"{place + ', ' if place else ''}{name}: {message}")
        if more := len(problems) - len(lines):
            lines.append(f"and {more} more")
        detail = "settings: " + "; ".join(lines)
        raise ConfigurationError(detail=detail, mistakes=lines) from None
    for message in current.warnings:
        warn(message)
    return found


def _known_names() -> set[str]:
    names: set[str] = set()
    todo: list[type[BaseModel]] = [Settings]
    sections = Section.__subclasses__()
    todo.extend(sections)
    for model in todo:
        names.update(model.model_fields)
    return names
