"""A small organisation on the sandbox, and the words in which scenarios are told."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calendar_sync.core.model import Direction, LinkState, MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.state.marks import UserSync
from calendar_sync.sync.runner import PassResult
from calendar_sync_sandbox.faults import Fault
from tests.harness import HMAC_KEY, World

EASTERN = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PREFIX = "calsync-"


class Stage(World):
    """A world with some people in it, every one mapped to a mailbox of the same name."""

    def __init__(
        self,
        *names: str,
        settings: dict[str, Any] | None = None,
        zone: str = "US/Eastern",
        platform: Platform = Platform.GOOGLE,
        **more: Any,
    ) -> None:
        super().__init__(settings=settings, **more)
        self.platform = platform
        #: The mailboxes of that platform, in words that are the same on each.
        self.calendar = self.calendars(platform)
        self.ids: dict[str, str] = {}
        self.results: list[PassResult] = []
        for name in names or ("dana",):
            self.hire(name, zone)
        self.remap()

    # --- people -------------------------------------------------------------------------------

    def hire(self, name: str, zone: str | None = "US/Eastern") -> str:
        user = self.welkin.add_user(mail(name), name.title(), "Example", zone)
        self.calendar.add_account(mail(name), "America/New_York")
        self.ids[name] = user.id
        return str(user.id)

    def remap(self, *without: str, **changes: dict[str, Any]) -> None:
        """Map everybody but `without`; `changes` are other values of single people."""
        rows = []
        for name, user_id in self.ids.items():
            if name not in without:
                values: dict[str, Any] = {"account": mail(name)} | changes.get(name, {})
                rows.append(MappedUser(user_id, self.platform, **values))
        asyncio.run(self.map(rows))

    def one_way(self, name: str, direction: Direction) -> None:
        self.remap(**{name: {"direction": direction}})

    # --- time ---------------------------------------------------------------------------------

    def at(self, days: int, hour: int, minute: int = 0) -> datetime:
        """So many days from today, at this time of day on the US east coast."""
        today = self.clock.now().astimezone(EASTERN).date() + timedelta(days=days)
        return datetime(today.year, today.month, today.day, hour, minute, tzinfo=EASTERN)

    def day(self, days: int) -> date:
        return self.clock.now().astimezone(EASTERN).date() + timedelta(days=days)

    # --- what happens in Welkin ---------------------------------------------------------------

    def visit(self, name: str = "dana", days: int = 1, hour: int = 9, **more: Any) -> Any:
        """An encounter of an hour; returns the sandbox's encounter."""
        start = self.at(days, hour)
        return self.welkin.book_encounter(self.ids[name], start, start + HOUR, **more)

    def meeting(self, name: str = "dana", days: int = 1, hour: int = 9, **more: Any) -> Any:
        """A plain appointment of an hour; returns the sandbox's event."""
        start = self.at(days, hour)
        return self.welkin.book_event(self.ids[name], start, start + HOUR, **more)

    def move(self, event_id: str, days: int, hour: int) -> None:
        start = self.at(days, hour)
        self.welkin.move_event(event_id, start, start + HOUR)

    # --- what happens in the calendar ---------------------------------------------------------

    def busy(self, name: str = "dana", days: int = 1, hour: int = 14, **more: Any) -> str:
        """An event of an hour in the calendar; returns its id."""
        start = self.at(days, hour)
        event = self.calendar.add_event(mail(name), start=start, end=start + HOUR, **more)
        return str(event["id"])

    def series(self, name: str = "dana", rule: str = "FREQ=DAILY;COUNT=5", hour: int = 14) -> str:
        start = self.at(1, hour)
        return self.calendar.plan_series(mail(name), rule, start, start + HOUR, "Course")

    def fault(self, service: str, kind: str, method: str = "*", path: str = "", **more: Any) -> Any:
        return self.sandbox.faults.add(Fault(service, kind, method, path, **more))

    # --- the sync -----------------------------------------------------------------------------

    def run(self, **options: Any) -> PassResult:
        """One pass."""
        result: PassResult = asyncio.run(self.sync(self.platform, **options))
        self.results.append(result)
        return result

    def later(self, *, again: int = 1, rounds: int | None = None, **step: float) -> PassResult:
        """Let time go by, then a pass (of so many rounds); `again` times."""
        for _ in range(again):
            self.clock.advance(**(step or {"minutes": 2}))
            result = self.run() if rounds is None else self.run(rounds=rounds)
        return result

    # --- what is there afterwards -------------------------------------------------------------

    def mirrors(self, name: str = "dana") -> list[dict[str, Any]]:
        found = self.google.mirrors_of(mail(name))
        return sorted(found, key=lambda event: str(event["start"]))

    def mirror_times(self, name: str = "dana") -> list[tuple[datetime, datetime]]:
        return sorted((seen.start, seen.end) for seen in self.calendar.mirrors(mail(name)))  # type: ignore[misc]

    def blocks(self, name: str = "dana") -> list[Any]:
        found = self.welkin.blocks_of(self.ids[name], PREFIX)
        return sorted(found, key=lambda event: event.start)

    def block_times(self, name: str = "dana") -> list[tuple[datetime, datetime]]:
        return [(block.start, block.end) for block in self.blocks(name)]

    @property
    def position(self) -> int:
        """Where the request log is now."""
        return len(self.sandbox.requests)

    def wrote(self, since: int = 0, service: str | None = None) -> list[str]:
        """`PUT 200`-like words for every write since then."""
        return [
            f"{entry.kind} {entry.status}"
            for entry in self.sandbox.requests.writes(service, since=since)
        ]

    def asked(self, kind: str, since: int = 0, **equal: Any) -> int:
        return int(self.sandbox.requests.count(kind, since=since, **equal))

    @property
    def store(self) -> Store:
        return Store(self.database, HMAC_KEY)

    def state(self, name: str = "dana") -> UserSync:
        return self.store.marks.of(self.ids[name], self.platform)

    def links(self, name: str = "dana", *states: LinkState) -> list[Any]:
        found = self.store.links.of(self.ids[name], self.platform)
        return [link for link in found if not states or link.state in states]

    def conflicts(self) -> list[tuple[str, str]]:
        """Kind and decision of every conflict on record."""
        from calendar_sync.state import tables as t

        with self.database.read() as connection:
            rows = connection.execute(t.conflict.select()).all()
        return [(row.kind, row.decision) for row in rows]

    def in_step(self, *names: str) -> None:
        """Everybody (of `names`) has nothing left to do, and another full look writes nothing."""
        for name in names or self.ids:
            state = self.state(name)
            assert not state.marked, (name, state)
            assert state.failures == 0, (name, state)
        before = self.position
        self.run(full=True)
        assert self.wrote(before) == []


class Both(Stage):
    """Dana has a mailbox on each platform; every pass is one of both."""

    def hire(self, name: str, zone: str | None = "US/Eastern") -> str:
        self.google.add_account(mail(name), "America/New_York")
        return super().hire(name, zone)

    def remap(self, *without: str, **changes: dict[str, Any]) -> None:
        rows = [
            MappedUser(
                user_id, platform, **{"account": mail(name), **changes.get(platform.value, {})}
            )
            for name, user_id in self.ids.items()
            for platform in Platform
            if platform.value not in without
        ]
        asyncio.run(self.map(rows))

    def both(self, times: int = 1, order: Sequence[Platform] = tuple(Platform)) -> None:
        for _ in range(times):
            self.clock.advance(minutes=2)
            for platform in order:
                self.platform = platform
                assert self.run().failed == []


def mail(name: str) -> str:
    return f"{name}@example.org"


def moment(value: dict[str, str]) -> datetime:
    """An instant of Google's, in UTC."""
    return datetime.fromisoformat(value["dateTime"]).astimezone(ZoneInfo("UTC"))
