"""The settings of an organisation: a typed model that is rejected as a whole if a part is wrong.

`parse` reads a mapping from YAML or a stored revision.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from calendar_sync.config import profiles
from calendar_sync.config.buffers import Buffers
from calendar_sync.config.calendars import PRIMARY as PRIMARY
from calendar_sync.config.calendars import Calendars as Calendars
from calendar_sync.config.mapping_rules import MappingRule, refuse_wrong
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
from calendar_sync.core.model import Direction, MappedUser, Platform, Window, zone_or_none

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


class AllDayKinds(Section):
    """All-day events of some kinds: `block` and `ignore` decide, whatever other settings say.

    `same`: as the settings for their kind and `all_day` say.
    """

    out_of_office: Literal["same", "block", "ignore"] = "same"
    """Shown as out of office."""
    tentative: Literal["same", "block", "ignore"] = "same"
    """Tentative events and unanswered invitations."""
    working_elsewhere: Literal["same", "block", "ignore"] = "same"
    """Shown as working elsewhere. Microsoft only."""
    free: Literal["block", "ignore"] = "ignore"
    """Shown as free, as both calendars propose for all-day events."""


class BlockTime(Section):
    """How busy time in the calendar becomes unavailable time in Welkin."""

    enabled: bool = True
    """Create blocks. If this is off, existing blocks are deleted."""
    source: Literal["events", "free_busy"] = "events"
    """`free_busy`: read no events, only when the account is busy. Mirrors are not possible then."""
    tentative: bool = False
    """Tentative events and unanswered invitations block time."""
    working_elsewhere: Literal["block", "ignore"] = "ignore"
    """Events that Outlook shows as working elsewhere. Google's working locations never block."""
    out_of_office: Literal["block", "ignore"] = "block"
    """Out-of-office events."""
    all_day: Literal["block", "ignore"] = "block"
    """`block`: busy all-day events block the whole day; `ignore`: they do not block."""
    all_day_kinds: AllDayKinds = AllDayKinds()
    """All-day events of some kinds, whatever the settings above say."""
    all_day_write: Literal["flag", "timed"] = "flag"
    """`flag`: as all-day events in Welkin; `timed`: from midnight to midnight."""
    block_title: Literal["fixed", "event_title"] = "fixed"
    """`event_title`: the title of the event, unless it is private; `fixed`: that of `title`."""
    title: str = Field(default="Busy", min_length=1, max_length=200)
    """The title of blocks in Welkin."""
    out_of_office_title: str = Field(default="", max_length=200)
    """The title of blocks for out-of-office events, instead of `title`; empty: that of `title`."""
    block_edited: Literal["restore", "accept"] = "restore"
    """A block edited or deleted in Welkin: `restore` it, or `accept` the change."""
    duplicates: Literal["warn", "block"] = "warn"
    """Events at the times of many visits: `warn` reports them without blocks, `block` blocks."""
    report_overlaps: bool = True
    """List visits that are booked over busy time. Nothing is changed, and no alert is sent."""
    buffers: Buffers = Buffers()
    """Time around timed events that blocks, too."""
    ignore_external: IgnoreExternal = IgnoreExternal()
    """Events that never block."""
    instances_per_series: int = Field(default=500, ge=1, le=2500)
    """Of a longer series, only the nearest instances get blocks."""


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
    people_may_choose: tuple[Literal["level", "reminder", "colour"], ...] = ()
    """What people may choose for themselves: a lower level, the reminder and colour of mirrors."""
    profiles: dict[str, dict[str, Any]] = Field(default={})
    """Named sets of settings for some users, over those of everybody."""
    mapping_rules: tuple[MappingRule, ...] = ()
    """Who belongs in the user mapping, and with which profile; the first that fits decides."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if zone_or_none(value) is None:
            raise ValueError("not an IANA time zone")
        return value

    @model_validator(mode="after")
    def _with_valid_profiles(self, info: ValidationInfo) -> Self:
        """Each profile is valid over these settings, and is kept as settings are stored."""
        mistakes = []
        if len(self.profiles) > profiles.MOST:
            said = f"at most {profiles.MOST} profiles are possible"
            mistakes.append(profiles.mistake("too_many", said, "profiles"))
        shared = self.model_dump(mode="json", exclude=profiles.BESIDE) if self.profiles else {}
        for name, given in list(self.profiles.items())[: profiles.MOST]:
            if said := profiles.refusal(name):
                mistakes.append(profiles.mistake("name", said, "profiles", name))
                continue
            foreign = profiles.outside(given)
            for path in foreign:
                known = len(path) > 1 or path[0] in type(self).model_fields
                kind = "not_of_profiles" if known else "extra_forbidden"
                said = "a profile cannot have this setting: it is the organisation's"
                mistakes.append(profiles.mistake(kind, said, "profiles", name, *path))
            try:
                whole = profiles.merged(shared, {k: given[k] for k in given if (k,) not in foreign})
                one = Settings.model_validate(whole, context=info.context)
            except ValidationError as error:
                mistakes += profiles.under(error, "profiles", name)
                continue
            self.profiles[name] = profiles.as_given(given, one.model_dump(mode="json"))
        if mistakes:
            raise ValidationError.from_exception_data("Settings", mistakes)
        return self

    @model_validator(mode="after")
    def _with_valid_rules(self) -> Self:
        refuse_wrong(self.mapping_rules, self.profiles)
        return self

    @cached_property
    def of_profiles(self) -> dict[str, "Settings"]:
        """The settings of the users with each profile, by its name."""
        shared = self.model_dump(mode="json", exclude=profiles.BESIDE) if self.profiles else {}
        return {
            name: Settings.model_validate(profiles.merged(shared, given), context=STORED)
            for name, given in self.profiles.items()
        }

    @cached_property
    def without_profiles(self) -> "Settings":
        """The settings of users without a profile."""
        shared = self.model_dump(mode="json", exclude=profiles.BESIDE)
        return Settings.model_validate(shared, context=STORED)

    def knows(self, profile: str) -> bool:
        """It is a profile of these settings, or none."""
        return not profile or profile in self.profiles

    def of(self, profile: str) -> "Settings":
        """The settings of users with this profile; an empty name means these.

        Raises:
            ConfigurationError: there is no such profile.
        """
        found = self.of_profiles.get(profile) if profile else self
        if found is None:
            raise ConfigurationError(detail=f"the settings have no profile {profile}")
        return found

    def of_user(self, user: MappedUser) -> "Settings":
        """The settings of one user: those of the profile, with what the person may choose and has.

        Raises:
            ConfigurationError: there is no such profile.
        """
        own = self.of(user.profile)
        content = own.mirror_content.chosen(user.chosen, own.people_may_choose)
        if content == own.mirror_content:
            return own
        return own.model_copy(update={"mirror_content": content})

    @property
    def all(self) -> tuple["Settings", ...]:
        """These settings, and those of each profile."""
        return (self, *self.of_profiles.values())

    def direction_of(self, platform: Platform, override: Direction | None) -> Direction:
        """The user's own direction, else the platform's, else both ways.

        Where only busy times are read, nothing can be written to the calendar.
        """
        if self.block_time.source == "free_busy":
            return Direction.CALENDAR_TO_WELKIN
        return override or self.direction.get(platform, Direction.BIDIRECTIONAL)

    def calendars_of(self, platform: Platform) -> Calendars:
        """The platform's calendars, primary only unless set."""
        return self.calendars.get(platform, Calendars())

    def calendars_for(self, user: MappedUser) -> Calendars:
        """The calendars of a user: the platform's as the user's profile has them, and their own."""
        return self.of(user.profile).calendars_with(user)

    def calendars_with(self, user: MappedUser) -> Calendars:
        """The same if these are the user's settings already."""
        if self.block_time.source == "free_busy":
            # Nothing is written, and the calendar that once was made shows no busy times.
            user = replace(user, own_calendar="")
        return self.calendars_of(user.platform).with_own(user)

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
        if self.block_time.source == "free_busy":
            blocks = timedelta(days=self.windows.blocks_future_days + 14)
            return Window(now - timedelta(days=2), now + blocks)
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
