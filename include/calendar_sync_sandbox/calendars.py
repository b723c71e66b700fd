"""What people do in their calendars and what can be seen there, whichever platform they are on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta

Json = dict[str, Any]
Shown = Literal["busy", "tentative", "free"]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """An event as its owner sees it.

    Attributes:
        id: id by which it is changed.
        series_id: id of the master, for an occurrence.
        is_series: whether this is a master.
        start: a moment in UTC, or a day.
        end: the same, exclusive.
        title: summary or subject.
        description: plain text.
        marker: the value of our marker, None where it has none.
        private: whether others see that it is there only.
        shown: as what; what only informs is free.
        declined: whether the owner said no.
        guests: how many attendees it has.
        original_start: where the rule puts it, for an occurrence.
        undecided: whether it is tentative, or waits for an answer, whatever it is shown as.
        out_of_office: whether it says that its owner is away.
    """

    id: str
    series_id: str | None
    is_series: bool
    start: datetime | date
    end: datetime | date
    title: str
    description: str
    marker: str | None
    private: bool
    shown: Shown
    declined: bool
    guests: int
    original_start: datetime | date | None = None
    undecided: bool = False
    out_of_office: bool = False


class CalendarWorld(ABC):
    """All mailboxes of one platform.

    Attributes:
        accounts: mailboxes by their address in lower case.
        lag_seconds: reads answer as the world was so long ago (0: at once).
        lose_tombstones: whether a deleted series leaves nothing behind.
        unknown_zones: names of zones with which a client's write is refused.
        invited_only: series of which the mailbox has occurrences and no master: its owner was
            invited to those alone.
    """

    accounts: dict[str, Any]
    lag_seconds: float
    lose_tombstones: bool
    invited_only: set[str]
    unknown_zones: frozenset[str] = frozenset()

    # What each platform does in its own way

    @abstractmethod
    def add_account(self, email: str, time_zone: str = "America/New_York") -> Any:
        """Open a mailbox with its primary calendar; the zone is an IANA name."""

    @abstractmethod
    def add_calendar(self, account: str, name: str) -> Any:
        """Add a further calendar to a mailbox; the result has its `id`."""

    @abstractmethod
    def delete_calendar(self, account: str, calendar: str) -> None:
        """Delete a further calendar with everything in it."""

    @abstractmethod
    def share_calendar(self, account: str, calendar: str, other: str) -> None:
        """Put a calendar into the list of another mailbox, which may manage it."""

    @abstractmethod
    def calendars_of(self, account: str) -> dict[str, str]:
        """Return the names of a mailbox's further calendars by their ids."""

    @abstractmethod
    def add_event(
        self, account: str, *, start: Any, end: Any, calendar: str = "primary", **fields: Any
    ) -> Json:
        """Put an event into a calendar; the fields are those of the platform."""

    @abstractmethod
    def add_series(self, account: str, rrule: str, start: Any, end: Any, **fields: Any) -> Json:
        """Put a series into a calendar; the fields are those of the platform."""

    @abstractmethod
    def patch_event(
        self, account: str, event_id: str, *, calendar: str = "primary", **changes: Any
    ) -> Json:
        """Change an event; the fields are those of the platform."""

    @abstractmethod
    def move_event(
        self, account: str, event_id: str, start: Any, end: Any, *, calendar: str = "primary"
    ) -> Json:
        """Move an event, a series or one occurrence by its own id."""

    @abstractmethod
    def delete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Delete an event, a whole series, or one occurrence by its own id."""

    @abstractmethod
    def respond(
        self, account: str, event_id: str, answer: str, *, calendar: str = "primary"
    ) -> Json:
        """Answer an event with declined, tentative, accepted or needsAction."""

    @abstractmethod
    def revoke(self, account: str) -> None:
        """Take the right to one mailbox away."""

    @abstractmethod
    def restore(self, account: str) -> None:
        """Make a mailbox healthy again."""

    @abstractmethod
    def suspend(self, account: str) -> None:
        """Suspend a user."""

    @abstractmethod
    def delete_account(self, account: str) -> None:
        """Delete a user."""

    @abstractmethod
    def no_licence(self, account: str) -> None:
        """Take a user's calendar away."""

    @abstractmethod
    def expire_sync_tokens(self, account: str, *, calendar: str = "primary") -> None:
        """Make every change token of a calendar answer 410 from now on."""

    @abstractmethod
    def shift_mirrors(self, account: str, by: timedelta) -> None:
        """Show all mirrors at another time without a new version: the rules of zones changed."""

    @abstractmethod
    def events_of(self, account: str, calendar: str | None = None) -> list[Json]:
        """Return the live events (masters, singles, changed occurrences) of all or one calendar."""

    @abstractmethod
    def expanded(
        self, account: str, low: datetime, high: datetime, calendar: str = "primary"
    ) -> list[Json]:
        """Return the live single events and occurrences that touch a window."""

    @abstractmethod
    def words(
        self,
        *,
        title: str | None = None,
        free: bool | None = None,
        private: bool | None = None,
        rrule: str | None = None,
    ) -> Json:
        """Return the platform's fields for these; None leaves a field out."""

    @abstractmethod
    def glimpse(self, account: str, event: Json) -> Glimpse:
        """Look at one of the platform's own events."""

    @abstractmethod
    def rename_account(self, account: str, new: str, *, answers: bool = False) -> None:
        """Give a mailbox another address; events and their ids stay.

        Args:
            account: its address.
            new: the other one, which no account has.
            answers: whether the old address goes on opening it, as an alias may.
        """

    @abstractmethod
    def undelete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Undo a deletion: the event is there again, under its id."""

    @abstractmethod
    def reimport(self, account: str, *, tombstones: bool = True) -> None:
        """Restore a mailbox from a copy: the same events under new ids, no change token holds.

        Args:
            account: the mailbox.
            tombstones: whether the old ids are known as deleted, or not at all.
        """

    def swap_accounts(self, one: str, other: str) -> None:
        """Give two mailboxes each other's address."""
        self.rename_account(one, f"swap-{one}")
        self.rename_account(other, one)
        self.rename_account(f"swap-{one}", other)

    # What is the same on each

    def plan(
        self,
        account: str,
        start: datetime | date,
        end: datetime | date,
        title: str,
        *,
        free: bool = False,
        private: bool = False,
        calendar: str = "primary",
    ) -> str:
        """Put an event into a calendar and return its id."""
        fields = self.words(title=title, free=free, private=private)
        made = self.add_event(account, start=start, end=end, calendar=calendar, **fields)
        return str(made["id"])

    def plan_series(
        self, account: str, rrule: str, start: datetime | date, end: datetime | date, title: str
    ) -> str:
        """Put a series into the primary calendar and return its id."""
        made = self.add_series(account, rrule, start, end, **self.words(title=title))
        return str(made["id"])

    def rename(self, account: str, event_id: str, title: str) -> None:
        """Give an event another title."""
        self.patch_event(account, event_id, **self.words(title=title))

    def show_as(self, account: str, event_id: str, *, free: bool) -> None:
        """Show an event as free or as busy."""
        self.patch_event(account, event_id, **self.words(free=free))

    def change_rule(self, account: str, series_id: str, rrule: str) -> None:
        """Let a series take place by another rule."""
        self.patch_event(account, series_id, **self.words(rrule=rrule))

    def glimpses(self, account: str, calendar: str | None = None) -> list[Glimpse]:
        """Look at the live events (masters, singles, changed occurrences) of a mailbox."""
        return [self.glimpse(account, event) for event in self.events_of(account, calendar)]

    def own(self, account: str) -> list[Glimpse]:
        """Look at the live events without our marker."""
        return [seen for seen in self.glimpses(account) if seen.marker is None]

    def mirrors(self, account: str) -> list[Glimpse]:
        """Look at the live events with our marker."""
        return [seen for seen in self.glimpses(account) if seen.marker is not None]

    def expanded_glimpses(
        self, account: str, low: datetime, high: datetime, calendar: str = "primary"
    ) -> list[Glimpse]:
        """Look at the live single events and occurrences that touch a window."""
        found = self.expanded(account, low, high, calendar)
        return [self.glimpse(account, event) for event in found]
