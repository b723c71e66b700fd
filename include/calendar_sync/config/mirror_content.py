"""What a mirror shows of an appointment: the settings for it."""

import re
from collections.abc import Collection
from datetime import date
from string import Formatter
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from calendar_sync.config.buffers import VisitBuffers
from calendar_sync.config.sections import STORED, Section, nearest
from calendar_sync.core.model import GOOGLE_COLOURS, LINK, PLACE, Choices, DetailLevel

TEXT_FIELDS = frozenset(
    {
        "patient_first_name",
        "patient_last_name",
        "patient_initials",
        "encounter_type",
        "mode",
        "location",
    }
)
#: Longest text of a calendar's field for the location, on both platforms.
LONGEST_PLACE = 255
#: The longest reminder that Google takes: four weeks.
LONGEST_REMINDER = 40_320
LONGEST_CATEGORY = 60
DEFAULT, NONE = "default", "none"
#: Instead of a template's name: all templates that have no colour or category of their own.
ALL = "*"
#: Statuses with which an appointment takes place no more, or is over.
OVER = frozenset({"CANCELLED", "CANCELED", "COMPLETED", "MISSED", "FINALIZED", "DELETED"})
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?({_LABEL}\.)+{_LABEL}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _rank(level: DetailLevel) -> int:
    """Higher levels show more."""
    return list(DetailLevel).index(level)


class Text(Section):
    """One text of a mirror. `template` is used at level `full` only, with `{field}` for a field."""

    level: DetailLevel = DetailLevel.BUSY
    """`busy`: a fixed text; `type`: the type of visit; `full`: the template."""
    template: str = ""
    """For `full` only, with fields such as {encounter_type} and {patient_initials}."""

    @field_validator("template")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError as error:
            raise ValueError(f"not a template: {error}") from None
        for _, name, spec, conversion in parts:
            if name is None:
                continue
            if name not in TEXT_FIELDS or spec or conversion:
                raise ValueError(f"unknown field {{{name}}}{nearest(name, TEXT_FIELDS)}")
        return value

    @model_validator(mode="after")
    def _full_has_template(self) -> Self:
        if self.level is DetailLevel.FULL and not self.template:
            raise ValueError("level full needs a template")
        return self


class BaaConfirmed(Section):
    """Confirmation of a business associate agreement with the calendar provider."""

    by: str = Field(min_length=1)
    """Name of the person who confirmed it."""
    on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """Day of the confirmation."""

    @field_validator("on", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        # YAML takes 2026-01-02 for a date.
        return value.isoformat() if type(value) is date else value

    @field_validator("on")
    @classmethod
    def _of_the_calendar(cls, value: str, info: ValidationInfo) -> str:
        try:
            date.fromisoformat(value)
        except ValueError:
            if info.context != STORED:
                raise ValueError("not a day, such as 2026-01-31") from None
        return value


class MirrorContent(Section):
    """What a mirror shows of an appointment."""

    title: Text = Text()
    """The title of a mirror."""
    description: Text = Text()
    """The text below the title; empty at level `busy`."""
    busy_title: str = Field(default="Busy", min_length=1, max_length=200)
    """The fixed text of level `busy`."""
    type_titles: dict[str, str] = Field(default={})
    """Titles for encounter templates at level `type`; others have the title Appointment."""
    places: dict[str, str] = Field(default={})
    """What is shown for a location in Welkin (`*` and `?` are wildcards); no other is shown."""
    link_hosts: tuple[str, ...] = ()
    """Hosts whose join links are shown, such as `zoom.us` or `*.zoom.us`."""
    colours: dict[str, str] = Field(default={})
    """Colours for encounter templates in Google Calendar, such as `sage`; `*` for all others."""
    categories: dict[str, str] = Field(default={})
    """Categories for encounter templates in Outlook; `*` for all others."""
    reminder: str = DEFAULT
    """Of new mirrors: `default` (the user's), `none`, or minutes before the start."""
    buffers: VisitBuffers = VisitBuffers()
    """Time around timed visits that mirrors keep, too; the title then says when the visit is."""
    tentative: tuple[str, ...] = ()
    """Statuses in Welkin, of event or encounter, whose mirrors are tentative instead of busy."""
    baa_confirmed: BaaConfirmed | None = None
    """Required for level `full`, which shows patient data in calendars."""

    def chosen(self, choices: Choices, may: Collection[str]) -> "MirrorContent":
        """The same with what a person has chosen, where they may: never more than this shows."""
        update: dict[str, Any] = {}
        if choices.reminder and "reminder" in may:
            update["reminder"] = choices.reminder
        if "colour" in may:
            for name, one in (("colours", choices.colour), ("categories", choices.category)):
                if one:
                    update[name] = {} if one == NONE else {ALL: one}
        if choices.level and "level" in may:
            most = DetailLevel(choices.level)
            for name in ("title", "description"):
                text = getattr(self, name)
                if _rank(text.level) > _rank(most):
                    update[name] = text.model_copy(update={"level": most})
        return self.model_copy(update=update)

    @field_validator("places")
    @classmethod
    def _fits(cls, value: dict[str, str]) -> dict[str, str]:
        for name, shown in value.items():
            if not 0 < len(shown.strip()) <= LONGEST_PLACE or _CONTROL.search(shown):
                raise ValueError(f"{name[:100]}: a text of 1 to {LONGEST_PLACE} characters")
        return value

    @field_validator("link_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host[:100]}: not a host, such as zoom.us or *.zoom.us")
        return value

    @field_validator("colours")
    @classmethod
    def _are_colours(cls, value: dict[str, str]) -> dict[str, str]:
        for colour in value.values():
            if colour not in GOOGLE_COLOURS:
                known = ", ".join(GOOGLE_COLOURS)
                raise ValueError(
                    f"{colour[:100]}: no colour of Google's ({known})"
                    f"{nearest(colour, frozenset(GOOGLE_COLOURS))}"
                )
        return value

    @field_validator("categories")
    @classmethod
    def _are_categories(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value.values():
            # Outlook separates the names of categories by commas or semicolons.
            fits = name == name.strip() and 0 < len(name) <= LONGEST_CATEGORY
            if not fits or _CONTROL.search(name) or set(name) & {",", ";"}:
                raise ValueError(
                    f"{name[:100]}: a name of 1 to {LONGEST_CATEGORY} characters "
                    "without comma and semicolon"
                )
        return value

    @field_validator("reminder", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if type(value) is int else value

    @field_validator("reminder")
    @classmethod
    def _is_a_reminder(cls, value: str) -> str:
        value = value.strip()
        if value in {DEFAULT, NONE}:
            return value
        if value.isascii() and value.isdigit() and len(value) < 9:
            minutes = int(value)
            if minutes <= LONGEST_REMINDER:
                return str(minutes)
        raise ValueError(f"default, none, or minutes from 0 to {LONGEST_REMINDER}")

    @field_validator("tentative")
    @classmethod
    def _are_statuses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(each.strip().upper().replace("-", "_").replace(" ", "_") for each in value)
        for word in words:
            if not word:
                raise ValueError("a status is empty")
            if word in OVER:
                raise ValueError(f"{word} is the status of an appointment that is over")
        return words

    @model_validator(mode="after")
    def _full_needs_agreement(self) -> Self:
        if DetailLevel.FULL.value in self.level and self.baa_confirmed is None:
            raise ValueError("level full needs baa_confirmed: {by, on}")
        return self

    @property
    def says_type(self) -> bool:
        """The title is above `busy`: only then are place, link and colour shown."""
        return self.title.level is not DetailLevel.BUSY

    @property
    def level(self) -> str:
        """The levels of title and description, and what else may be shown ("type/busy+link").

        Links and operations keep this of each mirror.
        """
        texts = f"{self.title.level.value}/{self.description.level.value}"
        if not self.says_type:
            return texts
        more = ((PLACE, self.places), (LINK, self.link_hosts))
        return "+".join([texts, *(name for name, given in more if given)])
