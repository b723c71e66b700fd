"""What happens to whole mailboxes of Google, and to events that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.calendars import CalendarWorld

if TYPE_CHECKING:
    from calendar_sync_sandbox.clock import Clock
    from calendar_sync_sandbox.google.delegation import Delegation
    from calendar_sync_sandbox.google.store import Calendar


class Mailboxes(CalendarWorld):
    """Renamed, restored from a copy, and deletions undone."""

    clock: Clock
    delegation: Delegation

    def rename_account(self, account: str, new: str, *, answers: bool = False) -> None:
        """Give a mailbox another address; what is in it stays. See `CalendarWorld`."""
        found = self.accounts.pop(account.lower())
        old = found.email
        primary = found.calendars.pop(old)
        found.email = primary.id = new
        for each in (primary, *found.calendars.values()):
            each.owner = new if each.owner == old else each.owner
        found.calendars = {new: primary, **found.calendars}
        found.aliases.append(old)
        self.accounts[new.lower()] = found
        if answers:
            self.accounts[old.lower()] = found
        else:
            self.delegation.forget(old)

    def undelete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Take an event out of the bin."""
        target: Calendar = self.calendar(account, calendar)
        version = target.records[event_id][-1]
        target.put({**version.body, "status": "confirmed"}, self.clock.now())

    def reimport(self, account: str, *, tombstones: bool = True) -> None:
        """Bring everything in under new ids. See `CalendarWorld`."""
        now = self.clock.now()
        for target in self.account(account).calendars.values():
            target.token_generation += 1
            for event_id in list(target.records):
                version = target.latest(event_id)
                if version is None or not version.live or version.series:
                    continue
                self._again(target, version.body, now)
                if tombstones:
                    target.put({**version.body, "status": "cancelled"}, now)
                else:
                    for known in (event_id, *target.exceptions.pop(event_id, ())):
                        del target.records[known]
                        target.journal.pop(known, None)

    def _again(self, target: Calendar, body: dict[str, Any], now: Any) -> None:
        """One event, or a series with the instances that were changed on their own."""
        new = self.new_id()
        target.put({**body, "id": new}, now)
        for known in list(target.exceptions.get(body["id"], ())):
            version = target.latest(known)
            if version is not None:
                suffix = known.rpartition("_")[2]
                moved = {"id": f"{new}_{suffix}", "recurringEventId": new}
                target.put({**version.body, **moved}, now)

    if TYPE_CHECKING:

        def account(self, email: str) -> Any:
            """See the world."""

        def calendar(self, account: str, calendar: str = "primary") -> Calendar:
            """See the world."""

        def new_id(self) -> str:
            """See the world."""
