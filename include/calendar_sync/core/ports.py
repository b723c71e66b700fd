"""The interfaces of Google and Microsoft: what a cycle asks of a calendar, and who has one."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from calendar_sync.core.codes import Code
from calendar_sync.core.model import (
    CalendarEntry,
    CalendarEvent,
    Changes,
    DirectoryAccounts,
    Draft,
    Finding,
    GroupMembers,
    Platform,
    Row,
    SeriesSet,
    Span,
    Window,
)
from calendar_sync.core.model.push import Granted, ListedChannel, Wanted


class CalendarSource(Protocol):
    """Reads the calendars of all accounts of one organisation on one external calendar system.

    All methods raise `SyncError`s: `TransientError`, `RateLimited`, `UserUnavailable`,
    `TenantMisconfigured`; those named with a method come in addition.
    """

    platform: Platform
    #: For how many accounts one request can ask what has changed.
    asks_together: int

    @property
    def shape(self) -> str:
        """Names the request shape: a cursor that was got with another shape is void."""
        ...

    async def changes(
        self, account: str, calendar: str, cursor: str | None, window: Window
    ) -> Changes:
        """What changed since the cursor, or (without one) everything in the window.

        Raises:
            CursorExpired: a full read is needed.
            NotFound: the account has no such calendar.
        """
        ...

    async def listed(self, account: str, calendar: str, window: Window) -> Changes:
        """Everything in the window, without a cursor: for where changes cannot be followed.

        Raises:
            NotFound: the account has no such calendar.
        """
        ...

    async def event(self, account: str, calendar: str, event_id: str) -> Row | None:
        """One event or its tombstone; None only where the server answers "not found"."""
        ...

    async def series(
        self, account: str, calendar: str, series_id: str, window: Window
    ) -> SeriesSet:
        """All live instances of a series that overlap the window."""
        ...

    async def look(self, account: str) -> None:
        """Read next to nothing of the account's primary calendar, to see whether it can be used.

        Raises:
            UserUnavailable: it cannot.
            NotFound: likewise.
        """
        ...

    async def account_fault(self, account: str) -> Code | None:
        """The code of what keeps us from reading and writing this mailbox, None for nothing.

        Nothing is written.
        """
        ...

    async def check_access(self, accounts: Sequence[str]) -> list[Finding]:
        """Every fault of the connection that these mailboxes show; an empty list: all is well.

        Without any, the credentials are tried; that no mailbox was is a fault, too.
        """
        ...


class CalendarPlatform(CalendarSource, Protocol):
    """An adapter for one external calendar system: it can write, too. Raises as its source does."""

    #: The ids of mirrors are ours: creating the same one again makes no second. Otherwise the
    #: calendar names them, and what an earlier attempt may have made is looked for first.
    chooses_ids: bool

    @property
    def push(self) -> "PushService":
        """How it tells of changes itself."""
        ...

    @property
    def calendars(self) -> "CalendarService":
        """The calendars themselves, apart from what is in them."""
        ...

    async def mirror(self, account: str, calendar: str, key: str, marker: str) -> Row | None:
        """The mirror that was created under this key, or its tombstone; None for "not found"."""
        ...

    async def create_mirror(
        self, account: str, calendar: str, key: str, marker: str, draft: Draft
    ) -> CalendarEvent:
        """Create a private, busy event without attendees, as the server then has it.

        Raises:
            Duplicate: there may be an event of this key, or have been one: look for it.
            BadItem: the server refuses the content.
        """
        ...

    async def update_mirror(
        self,
        account: str,
        calendar: str,
        event_id: str,
        marker: str,
        draft: Draft,
        etag: str | None,
    ) -> CalendarEvent:
        """Write all that is ours, and leave guests and reminders to the owner.

        The location and the colours are written only if the draft has them (`as_update`).

        Raises:
            PreconditionFailed: it changed since `etag`.
            NotFound: it is gone.
            BadItem: the server refuses the content.
        """
        ...

    async def delete_mirror(self, account: str, calendar: str, event_id: str) -> bool:
        """Delete; gone already is success.

        False where the server merely does not find it: no proof (`cycle.removal`).
        """
        ...

    # What a test of the sync makes: events like the owner's own, found again by their mark. None
    # has a mirror's marker, for it is to take time.

    async def create_test_event(
        self, account: str, calendar: str, mark: str, title: str, span: Span
    ) -> CalendarEvent:
        """Create a private, busy event without attendees that carries a test's mark.

        Raises:
            OutcomeUnknown: whether it was created will be seen by `test_events`.
            BadItem: the server refuses the content.
        """
        ...

    async def test_events(self, account: str, calendar: str, mark: str) -> list[str]:
        """Ids of the events in this calendar that carry a test's mark."""
        ...

    async def delete_test_event(self, account: str, calendar: str, event_id: str) -> bool:
        """Delete, as `delete_mirror` does."""
        ...


class CalendarService(Protocol):
    """The calendars of an account: which there are, one more, one less.

    All methods raise `SyncError`s as those of `CalendarPlatform` do. A right that is missing
    concerns only those users who need it: `UserUnavailable`, and its code names the right.
    """

    async def listed(self, account: str) -> list[CalendarEntry]:
        """All of them, hidden ones too."""
        ...

    async def missing_rights(self, account: str) -> list[Code]:
        """What keeps us from listing and making them, as far as it shows without making one."""
        ...

    async def make(self, account: str, name: str) -> str:
        """Make a calendar of this name; returns its id.

        Raises:
            OutcomeUnknown: it may have been made, or there is one of this name.
        """
        ...

    async def is_empty(self, account: str, calendar: str) -> bool:
        """There is no event in it, of whatever time.

        Raises:
            NotFound: there is no such calendar.
        """
        ...

    async def remove(self, account: str, calendar: str) -> None:
        """Delete it with everything in it; one that is gone already is success."""
        ...


class PushService(Protocol):
    """How one calendar system tells of changes: channels (Google), subscriptions (Microsoft).

    All methods raise `SyncError`s as those of `CalendarPlatform` do.
    """

    #: A channel's life can be prolonged; otherwise a new one takes over.
    renews: bool
    #: One channel tells of all calendars of a mailbox; otherwise each calendar has its own.
    covers_mailbox: bool
    #: The longest life that is asked for.
    life: timedelta

    async def open(self, wanted: Wanted) -> Granted:
        """Open a channel.

        Raises:
            BadItem: it is refused: the address, or this calendar.
            OutcomeUnknown: it may be open.
        """
        ...

    async def renew(self, wanted: Wanted, remote_id: str) -> Granted:
        """Prolong its life, where it can be.

        Raises:
            NotFound: there is no such channel any more.
        """
        ...

    async def close(self, channel_id: str, remote_id: str, account: str) -> None:
        """Close a channel; one that is gone is closed."""
        ...

    async def listed(self, address: str) -> list[ListedChannel] | None:
        """What is open for this address; None where the service does not tell."""
        ...


#: Start and end of each time, in order.
BusyTimes = tuple[tuple[datetime, datetime], ...]


class FreeBusy(Protocol):
    """When many accounts of one calendar system are busy, without their events."""

    #: How many calendars one request may name.
    most: int

    async def busy(
        self, account: str, calendars: Sequence[str], window: Window
    ) -> Mapping[str, BusyTimes | None]:
        """The busy times of these calendars in the window (UTC), as `account` sees them.

        None for a calendar whose times are not shown to the account.

        Raises:
            TenantMisconfigured: this is not allowed to us at all.
            UserUnavailable: this account cannot ask.
            BadItem: the window is too long; the detail is `timeRangeTooLong`.
        """
        ...


class Directory(Protocol):
    """The accounts of one organisation on one external calendar system."""

    async def accounts(self) -> DirectoryAccounts | None:
        """All of them, suspended ones too; None where no directory is configured.

        Raises:
            TenantMisconfigured: one is configured, and may not be read; the detail says why.
            TransientError: not now.
        """
        ...

    async def members_of(self, group: str) -> GroupMembers:
        """Who is in a group, directly or through groups in it.

        Raises:
            NotFound: there is no such group.
            TenantMisconfigured: groups may not be read; the detail says why.
            TransientError: not now.
        """
        ...

    async def look(self, account: str) -> None:
        """Read next to nothing of an account's calendar, to see whether it can be used.

        Raises:
            UserUnavailable: it cannot; unknown and suspended accounts may look the same.
            NotFound: likewise.
            TenantMisconfigured: no account can.
        """
        ...
