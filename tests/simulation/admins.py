"""What administrators and their systems do during a simulation."""

import random
from copy import deepcopy
from datetime import timedelta
from typing import Any

from calendar_sync.config.calendars import OWN
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Direction, MappedUser, Platform
from calendar_sync.operations.approvals import grant
from calendar_sync.operations.mapping.rules import Mode, evaluate
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.sync.services import Services
from calendar_sync_sandbox.calendars import CalendarWorld, Glimpse
from tests.harness import HMAC_KEY, World
from tests.simulation.people import PRIMARY, ZONES, People, Seat

BAA = {"by": "officer", "on": "2026-01-01"}
FULL = {"level": "full", "template": "{patient_first_name} {patient_last_name}, {encounter_type}"}
#: Place, link and colour: shown above busy only.
MORE: dict[str, Any] = {
    "places": {"Room *": "Elm Street 1"},
    "link_hosts": ["*.zoom.us"],
    "colours": {"etmp-follow-up": "sage", "APPOINTMENT": "tomato"},
    "categories": {"etmp-follow-up": "Kind A", "APPOINTMENT": "Kind B"},
}
LEVELS: dict[str, dict[str, Any]] = {
    "busy": MORE,
    "type": {"title": {"level": "type"}, "description": {"level": "type"}, **MORE},
    "full": {"title": FULL, "description": {"level": "type"}, "baa_confirmed": BAA},
}
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"exclude": ["etmp-initial*"]},
    {"include": ["etmp-*"]},
    {"include": ["*"], "exclude": ["GROUP_THERAPY"], "unknown_type": "include"},
)
#: What a profile has around visits.
BUFFERS: tuple[dict[str, Any], ...] = (
    {},
    {"every_visit": {"after_minutes": 10}},
    {"every_visit": {"before_minutes": 5}, "types": {"APPOINT*": {"before_minutes": 25}}},
)
#: A group of each directory.
TEAM = "team@example.org"
Named = tuple[tuple[str, ...], str]
NONE: Named = ((), "")
PROFILES = ("clinicians", "front-desk", "pilot")
GIVEN = (
    "mirror_content",
    "encounter_types",
    "block_time",
    "mirror_moved",
    "mirror_deleted",
    "both_changed",
)
TEMPLATES = ("etmp-follow-up", "etmp-initial-consultation")


class Admins:
    """Changes of settings and mapping. Spare accounts are there for people who move."""

    def __init__(self, world: World, people: People, chance: random.Random) -> None:
        self.world = world
        self.people = people
        self.chance = chance
        # Apart, so that older seeds stay what they were.
        self.minutes = random.Random("buffers")  # noqa: S311 - seeded on purpose
        self.disabled: set[Seat] = set()
        self.unmapped: set[Seat] = set()
        self.directions: dict[str, Direction] = {}
        self.profiles: dict[Seat, str] = {}
        #: Calendars that a row names, which belong to its mailbox: busy ones, and for mirrors.
        self.personal: dict[tuple[str, Platform], Named] = {}
        self.revoked: set[tuple[str, Platform]] = set()
        self.replayed: list[dict[str, Any]] = []
        sandbox = world.sandbox
        self.identity = Identity(HMAC_KEY, f"{sandbox.tenant}/{sandbox.instance}")
        self.spare: dict[Platform, list[str]] = {}
        for platform in dict.fromkeys(platform for _, platform in people.accounts):
            self.spare[platform] = [f"spare{number}@example.org" for number in range(2)]
            for number, email in enumerate(self.spare[platform]):
                world.calendars(platform).add_account(email, ZONES[number])

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
                platform,
                account,
                enabled=(user, platform) not in self.disabled,
                direction=self.directions.get(user),
                busy_calendars=self.personal.get((account, platform), NONE)[0],
                mirrors_calendar=self.personal.get((account, platform), NONE)[1],
                profile=self.profiles.get((user, platform), ""),
            )
            for (user, platform), account in self.people.accounts.items()
            if (user, platform) not in self.unmapped
        ]

    def _user(self) -> str:
        return self.chance.choice(self.people.users)

    def remap(self) -> None:
        """Somebody gets another mailbox."""
        seat, index = self.people.seat(), self.chance.randrange(2)
        accounts, spare = self.people.accounts, self.spare[seat[1]]
        accounts[seat], spare[index] = spare[index], accounts[seat]

    def exchange(self) -> None:
        """Two people exchange their mailboxes."""
        one, other = self.people.seat(), self.people.seat()
        accounts = self.people.accounts
        if one[1] is other[1]:
            accounts[one], accounts[other] = accounts[other], accounts[one]

    def disable(self) -> None:
        self.disabled ^= {self.people.seat()}

    def unmap(self) -> None:
        self.unmapped ^= {self.people.seat()}

    def turn(self) -> None:
        """One person's own direction."""
        user = self._user()
        self.directions.pop(user, None)
        if self.chance.random() < 0.6:
            self.directions[user] = self.chance.choice(list(Direction))

    def give_profile(self) -> None:
        """Somebody gets another profile, or none."""
        names = sorted(self.world.document.get("profiles", {}))
        self.profiles[self.people.seat()] = self.chance.choice(["", *names, *names])

    def add_calendars(self) -> None:
        """Every mailbox has a further calendar, and rows name it or not."""
        mailboxes = [(account, seat[1]) for seat, account in self.people.accounts.items()]
        mailboxes += [(one, platform) for platform, spare in self.spare.items() for one in spare]
        for account, platform in mailboxes:
            self.world.calendars(platform).add_calendar(account, "Private")
            self._name(account, platform)

    def name_calendars(self) -> None:
        """A row of the mapping names calendars of its mailbox, or none."""
        seat = self.people.seat()
        self._name(self.people.accounts[seat], seat[1])

    def _name(self, account: str, platform: Platform) -> None:
        held = self.world.calendars(platform).calendars_of(account)
        [further] = [key for key, name in held.items() if name == "Private"]
        mirrors = self.chance.choice(["", PRIMARY, further, OWN, OWN])
        self.personal[account, platform] = self.chance.choice([(), (further,)]), mirrors

    def add_groups(self) -> None:
        """Rules map who is in a group of the directory, with a profile; somebody may read it."""
        if Platform.GOOGLE in self.spare:
            self.world.google.add_account("boss@example.org").admin = True
        rules = [
            {"name": f"team {each}", "platform": each.value, "group": TEAM, "profile": "team"}
            for each in self.spare
        ]
        profiles = {**self.world.document.get("profiles", {}), "team": {"mirror_moved": "report"}}
        self._set(profiles=profiles, mapping_rules=[{**one, "apply": True} for one in rules])
        self.unmapped = set(self.people.accounts)
        self.regroup()

    def regroup(self) -> None:
        """Others belong to the group of the directory."""
        accounts = self.people.accounts.items()
        for platform in self.spare:
            names = sorted(name for (_, where), name in accounts if where is platform)
            members = self.chance.sample(names, self.chance.randint(1, len(names)))
            world: Any = self.world.calendars(platform)
            world.groups.add(TEAM, *members)

    async def follow_rules(self) -> None:
        """The mapping becomes what the rules want of it."""

        async def work(services: Services) -> list[MappedUser]:
            await evaluate(services, Mode.DAILY)
            return services.store.config.mapping()

        found = {(row.user_id, row.platform): row for row in await self.world.with_services(work)}
        seats = set(self.people.accounts)
        self.unmapped = seats - found.keys()
        self.disabled = {seat for seat in self.disabled if seat not in found}
        for seat, row in found.items():
            self.profiles[seat] = row.profile
            self._hold(seat, row.account)
            if not row.enabled:
                self.disabled.add(seat)

    def _hold(self, seat: Seat, account: str) -> None:
        """The mailbox is this person's, and whoever had it takes theirs."""
        accounts, spare = self.people.accounts, self.spare[seat[1]]
        mine = accounts[seat]
        for other, held in list(accounts.items()):
            if other[1] is seat[1] and held == account:
                accounts[other] = mine
        if account in spare:
            spare[spare.index(account)] = mine
        accounts[seat] = account

    # --- settings -----------------------------------------------------------------------------

    def _set(self, **sections: Any) -> None:
        self.world.document = {**deepcopy(self.world.document), **sections}

    def level(self) -> None:
        self._set(mirror_content=LEVELS[self.chance.choice(list(LEVELS))])

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

    def profile(self) -> None:
        """A profile is new, or gives something else."""
        name = self.chance.choice(PROFILES)
        before = self.world.document
        for change in self.chance.sample([self.level, self.types, self.busy, self.policies], 2):
            change()
        after, self.world.document = self.world.document, before
        given = {key: after[key] for key in GIVEN if after.get(key) != before.get(key)}
        if given.get("encounter_types") == {}:
            del given["encounter_types"]  # it takes nothing back from the organisation's
        content = {**given.get("mirror_content", {}), "buffers": self.minutes.choice(BUFFERS)}
        given["mirror_content"] = content
        if "block_time" in given:
            given["block_time"].update(self._kinds())
        self._set(profiles={**before.get("profiles", {}), name: given})

    def _kinds(self) -> dict[str, Any]:
        """Which kinds of busy time block."""
        one = self.chance.choice
        days = {kind: one(["same", "block", "ignore"]) for kind in ("out_of_office", "tentative")}
        free = one(["block", "ignore"])
        return {"out_of_office": one(["block", "ignore"]), "all_day_kinds": {**days, "free": free}}

    def drop_profile(self) -> None:
        """One that nobody has goes."""
        profiles = dict(self.world.document.get("profiles", {}))
        free = sorted(profiles.keys() - {*self.profiles.values(), "team"})
        if free:
            del profiles[self.chance.choice(free)]
            self._set(profiles=profiles)

    # --- other systems ------------------------------------------------------------------------

    def copy_visits(self) -> None:
        """Another integration puts a person's visits into the calendar, unmarked."""
        seat = self.people.seat()
        user, now = seat[0], self.world.clock.now()
        for visit in self.people.visits():
            soon = now < visit.start < now + timedelta(days=60)
            if soon and not visit.cancelled and user in {*visit.psm_ids(), visit.host_id}:
                self.world.calendars(seat[1]).plan(
                    self.people.accounts[seat], visit.start, visit.end, "Visit"
                )

    def book_other_template(self) -> None:
        now = self.world.clock.now().replace(minute=0, second=0, microsecond=0)
        start = now + timedelta(hours=self.chance.randint(2, 600))
        self.world.welkin.book_encounter(
            self._user(), start, start + timedelta(hours=1), self.chance.choice(TEMPLATES)
        )

    def _plain_mirrors(self) -> tuple[CalendarWorld, str, list[Glimpse]]:
        """A person with the mirrors of the plain appointments that they host."""
        seat = self.people.seat()
        user, account = seat[0], self.people.accounts[seat]
        plain = {
            self.identity.marker(user, visit.id)
            for visit in self.people.visits()
            if visit.type != "ENCOUNTER" and visit.host_id == user
        }
        calendars = self.world.calendars(seat[1])
        mirrors = [m for m in calendars.glimpses(account, PRIMARY) if m.marker in plain]
        return calendars, account, mirrors

    def move_plain_mirrors(self) -> None:
        calendars, account, mirrors = self._plain_mirrors()
        now = self.world.clock.now().replace(minute=0, second=0, microsecond=0)
        for mirror in mirrors[: self.chance.choice([1, 1, 2, 5])]:
            start = now + timedelta(hours=self.chance.randint(-20, 400))
            length = timedelta(hours=1)
            if "(" in mirror.title:  # it is longer than its visit
                length = mirror.end - mirror.start  # type: ignore[operator]
            calendars.move_event(account, mirror.id, start, start + length)

    def delete_plain_mirrors(self) -> None:
        calendars, account, mirrors = self._plain_mirrors()
        for mirror in mirrors[: self.chance.choice([1, 1, 2, 5])]:
            calendars.delete_event(account, mirror.id)

    def approve(self) -> None:
        """Everything that waits for a person."""
        store = Store(self.world.database, HMAC_KEY)
        now = self.world.clock.now()
        pairs = []
        for entry in store.runs.pending():
            grant(store, entry.digest, "an admin", now)
            pairs.append((entry.user_id, entry.platform))
        with self.world.database.write() as connection:
            store.marks.mark(connection, pairs, now)
            store.marks.compare_fully(connection, pairs, now)

    def close_account(self) -> None:
        """The right to one mailbox ends, until `reopen`."""
        mailboxes = [(account, seat[1]) for seat, account in self.people.accounts.items()]
        account, platform = self.chance.choice(sorted(mailboxes))
        self.world.calendars(platform).revoke(account)
        self.revoked.add((account, platform))

    def reopen(self) -> None:
        for account, platform in sorted(self.revoked):
            calendars = self.world.calendars(platform)
            try:
                calendars.restore(account)
            except KeyError:  # it has been renamed since
                for each in calendars.accounts:
                    calendars.restore(each)
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
        self.people.let_replicas_follow(seconds)
        self.lagging(seconds)

    def lagging(self, seconds: float) -> None:
        """All servers alike."""
        self.world.welkin.read_lag_seconds = seconds
        for platform in self.spare:
            self.world.calendars(platform).lag_seconds = seconds


MAPPING = frozenset(
    {"remap", "exchange", "disable", "unmap", "turn", "give_profile", "name_calendars"}
)
RULED: tuple[tuple[str, int], ...] = (("regroup", 16), ("follow_rules", 30), ("unmap", 12))
PERSONAL: tuple[tuple[str, int], ...] = (("name_calendars", 14),)
PROFILED: tuple[tuple[str, int], ...] = (("profile", 8), ("give_profile", 10), ("drop_profile", 2))
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
