"""What happens to whole mailboxes of Exchange, and to events that come back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calendar_sync_sandbox.calendars import CalendarWorld
from calendar_sync_sandbox.microsoft.preferences import Preferences
from calendar_sync_sandbox.microsoft.tenant import Tenant
from calendar_sync_sandbox.microsoft.wire import event_json

if TYPE_CHECKING:
    from calendar_sync_sandbox.microsoft.store import Mailbox


class Mailboxes(Tenant, CalendarWorld):
    """Renamed, restored from a copy, and deletions undone."""

    accounts: dict[str, Mailbox]

    def rename_account(self, account: str, new: str, *, answers: bool = False) -> None:
        """Give a mailbox another address; what is in it stays. See `CalendarWorld`."""
        found = self.account(account)
        old, now = found.email, self.clock.now()
        del self.accounts[old.lower()]
        found.email = new
        self.accounts[new.lower()] = found
        if answers:
            self.accounts[old.lower()] = found
        self.users.move(found.guid, new, now)
        self.users.add_alias(found.guid, old, now)

    def undelete_event(self, account: str, event_id: str, *, calendar: str = "primary") -> None:
        """Take an event out of the deleted items: its immutable id stays."""
        owner = self.account(account)
        place = owner.ids.read(event_id)
        version = owner.latest(place.key) if place is not None else None
        if version is None:
            raise KeyError(event_id)
        owner.put(replace(version, live=True), self.clock.now())

    def reimport(self, account: str, *, tombstones: bool = True) -> None:
        """Bring everything in under new ids. See `CalendarWorld`."""
        owner, now = self.account(account), self.clock.now()
        for folder in owner.calendars.values():
            folder.generation += 1
        for version in list(owner.living(None, owner.seq)):
            uid = event_json(owner, version, Preferences())["iCalUId"]
            fields = {**version.fields, "iCalUId": uid}
            owner.put(replace(version, key=owner.new_key(), fields=fields), now)
            if tombstones:
                owner.put(replace(version, live=False), now)
            else:
                owner.records[version.key] = [replace(version, live=False)]
                owner.journal.pop(version.key, None)
