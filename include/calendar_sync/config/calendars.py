"""Which calendars of an account are read and written."""

from pydantic import ValidationInfo, field_validator

from calendar_sync.config.sections import STORED, Section
from calendar_sync.core.model import MappedUser

PRIMARY = "primary"
#: Instead of an id: a calendar of the user with this name, made for mirrors.
OWN, OWN_NAME = "own", "Welkin"


class Calendars(Section):
    """Which calendars of an account count as busy, and where mirrors go."""

    busy: tuple[str, ...] = (PRIMARY,)
    """Ids of calendars that count as busy; `primary` is the main one. Each is polled."""
    mirrors: str = PRIMARY
    """Id of the calendar for mirrors. `own`: a calendar that the sync makes for each user."""

    @field_validator("busy")
    @classmethod
    def _by_ids(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if OWN in value and info.context != STORED:
            raise ValueError("`own` is only for mirrors: give calendars by their ids")
        return value

    @property
    def pending(self) -> bool:
        """The user's own calendar for mirrors is not there yet, or not known."""
        return self.mirrors == OWN

    @property
    def all(self) -> tuple[str, ...]:
        """Every calendar that a cycle reads, the mirrors' first; a pending one is left out."""
        first = () if self.pending else (self.mirrors,)
        return (*first, *(name for name in self.busy if name != self.mirrors))

    @property
    def count(self) -> int:
        """How many are polled once none is pending."""
        return len({self.mirrors, *self.busy})

    def with_own(self, user: MappedUser) -> "Calendars":
        """The same with a person's own."""
        busy = tuple(dict.fromkeys((*self.busy, *user.busy_calendars)))
        mirrors = user.mirrors_calendar or self.mirrors
        if mirrors == OWN:
            mirrors = user.own_calendar or OWN
        if (busy, mirrors) == (self.busy, self.mirrors):
            return self
        return self.model_copy(update={"busy": busy, "mirrors": mirrors})
