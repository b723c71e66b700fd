"""What administrators and their systems do during a simulation."""

import random
from copy import deepcopy
from datetime import timedelta
from typing import Any

from calendar_sync.identity import Identity
from calendar_sync.model import Direction, MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.harness import HMAC_KEY, World
from tests.simulation.people import ZONES, People

BAA = {"by": "officer", "on": "2026-01-01"}
FULL = {"level": "full", "template": "{patient_first_name} {patient_last_name}, {encounter_type}"}
LEVELS: dict[str, dict[str, Any]] = {
    "busy": {},
    "type": {"title": {"level": "type"}, "description": {"level": "type"}},
    "full": {"title": FULL, "description": {"level": "type"}, "baa_confirmed": BAA},
}
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"exclude": ["etmp-initial*"]},
    {"include": ["etmp-*"]},
    {"include": ["*"], "exclude": ["GROUP_THERAPY"], "unknown_type": "include"},
)
TEMPLATES = ("etmp-follow-up", "etmp-initial-consultation")


class Admins:
    """Changes of settings and mapping. Spare accounts are there for people who move."""

    def __init__(self, world: World, people: People, chance: random.Random) -> None:
        self.world = world
        self.people = people
        self.chance = chance
        self.disabled: set[str] = set()
        self.unmapped: set[str] = set()
        self.directions: dict[str, Direction] = {}
        self.revoked: set[str] = set()
        self.replayed: list[dict[str, Any]] = []
        sandbox = world.sandbox
        self.identity = Identity(HMAC_KEY, f"{sandbox.tenant}/{sandbox.instance}")
        self.spare = [f"spare{number}@example.org" for number in range(2)]
        for number, email in enumerate(self.spare):
            world.google.add_account(email, ZONES[number])

    def begin(self) -> None:
        """No two organisations have the same settings."""
        for change in (self.level, self.types, self.busy, self.policies):
            if self.chance.random() < 0.6:
                change()

    # --- mapping ------------------------------------------------------------------------------

    def rows(self) -> list[MappedUser]:
        """The mapping as it should be."""
        return [
            MappedUser(
                user,
                Platform.GOOGLE,
                account,
                enabled=user not in self.disabled,
                direction=self.directions.get(user),
            )
            for user, account in self.people.accounts.items()
            if user not in self.unmapped
        ]

    def _user(self) -> str:
        return self.chance.choice(self.people.users)

    def remap(self) -> None:
        """Somebody gets another mailbox."""
        user, index = self._user(), self.chance.randrange(len(self.spare))
        accounts = self.people.accounts
        accounts[user], self.spare[index] = self.spare[index], accounts[user]

    def exchange(self) -> None:
        """Two people exchange their mailboxes."""
        one, other = self._user(), self._user()
        accounts = self.people.accounts
        accounts[one], accounts[other] = accounts[other], accounts[one]

    def disable(self) -> None:
        self.disabled ^= {self._user()}

    def unmap(self) -> None:
        self.unmapped ^= {self._user()}

    def turn(self) -> None:
        """One person's own direction."""
        user = self._user()
        self.directions.pop(user, None)
        if self.chance.random() < 0.6:
            self.directions[user] = self.chance.choice(list(Direction))

    # --- settings -----------------------------------------------------------------------------

    def _set(self, **sections: Any) -> None:
        self.world.document = {**deepcopy(self.world.document), **sections}

    def level(self) -> None:
        self._set(details=LEVELS[self.chance.choice(list(LEVELS))])

    def types(self) -> None:
        self._set(encounter_types=self.chance.choice(FILTERS))

    def busy(self) -> None:
        self._set(
            block_time={
                "tentative": self.chance.random() < 0.5,
                "all_day": self.chance.choice(["block", "block", "ignore"]),
                "all_day_write": self.chance.choice(["flag", "timed"]),
                "block_edited": self.chance.choice(["restore", "accept"]),
                "enabled": self.chance.random() < 0.9,
            }
        )

    def policies(self) -> None:
        self._set(
            mirror_moved=self.chance.choice(["restore", "reschedule", "report"]),
            mirror_deleted=self.chance.choice(["restore", "cancel", "report"]),
            both_changed=self.chance.choice(["welkin_wins", "report"]),
        )

    # --- other systems ------------------------------------------------------------------------

    def copy_visits(self) -> None:
        """Another integration puts a person's visits into the calendar, unmarked."""
        user = self._user()
        now = self.world.clock.now()
        for visit in self.people.visits():
            soon = now < visit.start < now + timedelta(days=60)
            if soon and not visit.cancelled and user in {*visit.psm_ids(), visit.host_id}:
                self.world.google.add_event(
                    self.people.accounts[user], start=visit.start, end=visit.end, summary="Visit"
                )

    def book_other_template(self) -> None:
        now = self.world.clock.now().replace(minute=0, second=0, microsecond=0)
        start = now + timedelta(hours=self.chance.randint(2, 600))
        self.world.welkin.book_encounter(
            self._user(), start, start + timedelta(hours=1), self.chance.choice(TEMPLATES)
        )

    def _plain_mirrors(self) -> tuple[str, list[Any]]:
        """A person with the mirrors of the plain appointments that they host."""
        user = self._user()
        account = self.people.accounts[user]
        plain = {
            self.identity.marker(user, visit.id)
            for visit in self.people.visits()
            if visit.type != "ENCOUNTER" and visit.host_id == user
        }
        mirrors = self.world.google.mirrors_of(account)
        return account, [
            mirror
            for mirror in mirrors
            if mirror["extendedProperties"]["private"]["calendarSync"] in plain
        ]

    def move_plain_mirrors(self) -> None:
        account, mirrors = self._plain_mirrors()
        now = self.world.clock.now().replace(minute=0, second=0, microsecond=0)
        for mirror in mirrors[: self.chance.choice([1, 1, 2, 5])]:
            start = now + timedelta(hours=self.chance.randint(-20, 400))
            self.world.google.move_event(account, mirror["id"], start, start + timedelta(hours=1))

    def delete_plain_mirrors(self) -> None:
        account, mirrors = self._plain_mirrors()
        for mirror in mirrors[: self.chance.choice([1, 1, 2, 5])]:
            self.world.google.delete_event(account, mirror["id"])

    def approve(self) -> None:
        """Everything that waits for a person."""
        store = Store(self.world.database, HMAC_KEY)
        now = self.world.clock.now()
        pairs = []
        for entry in store.runs.pending():
            store.runs.grant(entry.digest, "an admin", now)
            pairs.append((entry.user_id, entry.platform))
        with self.world.database.write() as connection:
            store.marks.mark(connection, pairs, now)
            store.marks.compare_fully(connection, pairs, now)

    def close_account(self) -> None:
        """Delegation for one mailbox ends, until `reopen`."""
        account = self.chance.choice(sorted(self.people.accounts.values()))
        self.world.google.revoke(account)
        self.revoked.add(account)

    def reopen(self) -> None:
        for account in sorted(self.revoked):
            self.world.google.restore(account)
        self.revoked.clear()

    def replay_cursor(self) -> None:
        """A back-up of the cursors comes back: an older position than the one reached."""
        with self.world.database.write() as connection:
            if self.replayed and self.chance.random() < 0.7:
                old = self.chance.choice(self.replayed)
                table = t.cursor
                here = (
                    (table.c.scope == old["scope"])
                    & (table.c.owner == old["owner"])
                    & (table.c.calendar == old["calendar"])
                    & (table.c.shape == old["shape"])
                )
                connection.execute(
                    table.update()
                    .where(here)
                    .values(position=old["position"], window_end=old["window_end"])
                )
            rows = connection.execute(t.cursor.select()).mappings().all()
            self.replayed = [*self.replayed, *(dict(row) for row in rows)][-40:]

    def lag(self) -> None:
        """Reads lag behind writes from now on, until the next quiet period."""
        seconds = self.chance.choice([0.0, 5.0, 30.0, 50.0])
        self.world.google.lag_seconds = self.world.welkin.read_lag_seconds = seconds


MAPPING = frozenset({"remap", "exchange", "disable", "unmap", "turn"})
RULES: tuple[tuple[str, int], ...] = (
    ("remap", 3),
    ("exchange", 1),
    ("disable", 2),
    ("unmap", 2),
    ("turn", 2),
    ("level", 4),
    ("types", 3),
    ("busy", 3),
    ("policies", 5),
    ("copy_visits", 2),
    ("book_other_template", 6),
    ("move_plain_mirrors", 6),
    ("delete_plain_mirrors", 4),
    ("close_account", 2),
    ("reopen", 2),
    ("replay_cursor", 4),
    ("lag", 4),
    ("approve", 3),
)
