"""What goes wrong around the services: certificates, redirects, second runs, database, clocks."""

import asyncio
import sqlite3
import ssl
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from calendar_sync.core.errors import SyncError, TenantMisconfigured
from calendar_sync.core.model import LinkState, Platform
from calendar_sync.state import Database, database
from calendar_sync.state.links import LinkStore
from tests.engine.cycle.stage import Stage, mail
from tests.harness import VirtualClock

Make = Callable[..., Stage]
SELF = mail("dana")


def intercept(s: Stage, act: Callable[[httpx.Request], None]) -> Callable[[], None]:
    """Look at (or fail) every request before it leaves; returns what ends that."""
    inner = s.transport.handle_async_request

    async def handle(request: httpx.Request) -> httpx.Response:
        act(request)
        return await inner(request)

    def end() -> None:
        s.transport.handle_async_request = inner  # type: ignore[method-assign]

    s.transport.handle_async_request = handle  # type: ignore[method-assign]
    return end


# --- the way to the service -----------------------------------------------------------------------


@pytest.mark.parametrize("service", ["google", "welkin"])
def test_an_untrusted_certificate_stops_everything_at_the_first_request(
    stage: Make, service: str
) -> None:
    s = stage()
    s.visit(days=1)
    s.busy()
    s.run()
    s.visit(days=2)
    tries = []

    def untrusted(request: httpx.Request) -> None:
        if request.url.path.startswith(f"/{service}"):
            tries.append(request.method)
            cause = ssl.SSLCertVerificationError("self-signed certificate")
            raise httpx.ConnectError("", request=request) from cause

    end = intercept(s, untrusted)
    before = s.position
    with pytest.raises(TenantMisconfigured, match="untrusted_certificate"):
        s.later()
    # Google is met by the cycle, then by the probe that asks whether all is well again.
    assert len(tries) == (1 if service == "welkin" else 2)
    assert s.wrote(before) == []
    end()
    s.later(minutes=5)
    s.later(minutes=5)
    assert len(s.mirrors()) == 2
    assert s.store.runs.fault(Platform.GOOGLE) is None
    s.in_step()


@pytest.mark.parametrize("broken", [httpx.ConnectError, httpx.ConnectTimeout, ssl.SSLError])
def test_a_connection_that_cannot_be_made_is_tried_again(
    stage: Make, broken: type[Exception]
) -> None:
    s = stage()
    s.run()
    s.visit()
    left = [3]

    def refuse(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/events") and left[0]:
            left[0] -= 1
            if broken is ssl.SSLError:
                cause = ssl.SSLError("handshake failure")
                raise httpx.ConnectError("", request=request) from cause
            raise broken("")

    intercept(s, refuse)
    s.later()
    assert len(s.mirrors()) == 1
    assert left == [0]
    s.in_step()


@pytest.mark.spread
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("service", ["google", "welkin"])
def test_no_redirect_takes_a_token_to_another_host(stage: Make, service: str, code: int) -> None:
    s = stage()
    s.visit()
    s.busy()
    s.run()
    hosts = set()
    intercept(s, lambda request: hosts.add(request.url.host))
    s.visit(days=2)
    s.busy(days=2)
    where = {"location": "https://evil.example/calendar/events"}
    s.fault(service, "status", code=code, headers=where, times=6)
    for _ in range(3):
        try:
            s.later(hours=1)
        except SyncError as error:
            assert error.code == "redirected"  # noqa: PT017 - only some passes fail
    assert hosts == {httpx.URL(s.sandbox.root).host}
    assert len(s.mirrors()) == len(s.blocks()) == 2
    s.in_step()


def test_no_answer_can_name_the_next_address(stage: Make) -> None:
    """Pages are asked for by number or token at our own address: a link is never followed."""
    s = stage()
    hosts = set()
    intercept(s, lambda request: hosts.add(request.url.host))
    evil = "https://evil.example/next"
    page = {"items": [], "nextPageToken": evil, "nextLink": evil, "@odata.nextLink": evil}
    s.fault("google", "status", "GET", "/events$", code=200, body=page, times=1)
    s.busy()
    s.run()
    s.later(minutes=5)
    assert hosts == {httpx.URL(s.sandbox.root).host}
    assert len(s.blocks()) == 1


def test_a_list_whose_pages_never_end_is_given_up(stage: Make) -> None:
    s = stage()
    s.run()
    s.visit()
    page = {"items": [], "nextPageToken": "again"}
    s.fault("google", "status", "GET", "/events$", code=200, body=page, times=None)
    before = s.position
    s.later()
    assert s.state().error_code == "google_endless_list"
    assert s.asked("google.events.list", before) == 400
    s.sandbox.faults.clear()
    s.later(minutes=5)
    assert len(s.mirrors()) == 1


# --- two runs at once -----------------------------------------------------------------------------


def test_two_overlapping_runs_do_everything_once(stage: Make, tmp_path: Path) -> None:
    s = stage("dana", "ruben", "mira", database_url=f"sqlite:///{tmp_path}/state.db")
    for name in s.ids:
        s.visit(name)
        s.busy(name)

    async def both() -> list[Any]:
        return list(await asyncio.gather(s.sync(), s.sync(), s.sync()))

    asyncio.run(both())
    s.later()
    for name in s.ids:
        assert len(s.mirrors(name)) == len(s.blocks(name)) == 1
    assert s.asked("google.events.insert") == s.asked("welkin.events.create") == 3
    assert {link.generation for name in s.ids for link in s.links(name)} == {1}
    s.in_step()


# --- the state database ---------------------------------------------------------------------------


def everything(s: Stage) -> None:
    s.visit(days=1)
    s.busy(days=1)
    s.run()
    s.visit(days=2)
    s.busy(days=2)


def complete(s: Stage) -> None:
    s.later(minutes=5)
    assert s.mirror_times() == [(s.at(day, 9), s.at(day, 10)) for day in (1, 2)]
    assert s.block_times() == [(s.at(day, 14), s.at(day, 15)) for day in (1, 2)]
    assert {link.state for link in s.links()} == {LinkState.LIVE}
    s.in_step()


def file_stage(stage: Make, tmp_path: Path) -> Stage:
    return stage(database_url=f"sqlite:///{tmp_path}/state.db")


def test_without_its_database_a_pass_asks_for_nothing_and_writes_nothing(
    stage: Make, tmp_path: Path
) -> None:
    s = file_stage(stage, tmp_path)
    everything(s)
    good, before = s.database, s.position
    s.database = Database(f"sqlite:///{tmp_path}/folder.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(OperationalError):
        s.later()
    assert s.wrote(before) == []
    s.database = good
    complete(s)


def test_a_database_that_can_only_be_read_writes_nothing_on_either_side(
    stage: Make, tmp_path: Path
) -> None:
    s = file_stage(stage, tmp_path)
    everything(s)
    good, before = s.database, s.position
    s.database = Database(f"sqlite:///file:{tmp_path}/state.db?mode=ro&uri=true")
    with pytest.raises(OperationalError, match="readonly"):
        s.later()
    assert s.wrote(before) == []
    s.database.close()
    s.database = good
    complete(s)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_database_that_fails_in_the_middle_of_a_cycle_ends_it_and_loses_nothing(
    stage: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    s = file_stage(stage, tmp_path)
    everything(s)
    before = s.position
    holders: list[sqlite3.Connection] = []

    def lock_after_some_writes() -> None:
        if len(s.wrote(before)) > writes - 1 and not holders and s.asked("google.events.list"):
            holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            holders.append(holder)

    # A lock that outlasts the patience of the database, which is cut short here.
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    s.database.engine.dispose()
    s.transport.after_request = lock_after_some_writes
    with pytest.raises(OperationalError, match="locked"):
        s.later()
    s.transport.after_request = s.note_blocks
    holders[0].rollback()
    holders[0].close()
    s.clock.advance(minutes=5)
    complete(s)


def test_a_database_that_is_locked_for_a_moment_is_waited_for(stage: Make, tmp_path: Path) -> None:
    s = file_stage(stage, tmp_path)
    everything(s)
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")

    async def release_soon() -> None:
        # SQLite waits in its own thread's time: the other side lets go from another thread.
        def let_go() -> None:
            import time

            time.sleep(0.3)
            holder.rollback()
            holder.close()

        await asyncio.gather(asyncio.to_thread(let_go), s.sync())

    s.clock.advance(minutes=2)
    asyncio.run(release_soon())
    complete(s)


# --- clocks ---------------------------------------------------------------------------------------


class Skewed(VirtualClock):
    """The engine's clock, ahead of the services' by some time."""

    def __init__(self, true: VirtualClock, ahead: timedelta) -> None:
        self._true, self._ahead = true, ahead

    def now(self) -> datetime:
        return self._true.now() + self._ahead

    def monotonic(self) -> float:
        return self._true.monotonic()

    def advance(self, seconds: float = 0.0, **parts: float) -> None:
        self._true.advance(seconds, **parts)


@pytest.mark.parametrize("minutes", [-10, 10])
@pytest.mark.parametrize("audit", [True, False], ids=["audit", "sweep"])
def test_clocks_that_differ_by_ten_minutes_lose_no_change(
    stage: Make, minutes: int, audit: bool
) -> None:
    s = stage()
    s.clock = Skewed(s.clock, timedelta(minutes=minutes))
    s.welkin.audit_enabled = audit
    gone, moved, removed = s.visit(days=1), s.visit(days=2), s.visit(days=3)
    event, series = s.busy(days=1), s.series(hour=16)
    s.run()
    assert (len(s.mirrors()), len(s.blocks())) == (3, 6)
    s.later(again=5)
    s.welkin.delete_event(gone.event_id)
    s.welkin.delete_encounter(removed.id)
    s.move(moved.event_id, 4, 9)
    s.visit(days=5)
    s.google.move_event(SELF, event, s.at(4, 14), s.at(4, 15))
    s.google.delete_instance(SELF, series, s.at(2, 16))
    s.welkin.delete_event(s.blocks()[-1].id)
    s.later(again=3)
    if not audit:
        # Without the audit a deleted encounter is found by the daily comparison.
        s.run(full=True)
    assert s.mirror_times() == [(s.at(day, 9), s.at(day, 10)) for day in (4, 5)]
    assert len(s.blocks()) == 5
    assert s.state().failures == 0
    # Tokens are renewed in time or once refused, whatever the two clocks say.
    s.later(again=4, minutes=35)
    assert s.state().failures == 0
    assert s.asked("welkin.token") + s.asked("google.token") <= 10
    s.in_step()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_block_of_about_now_is_removed_whichever_clock_is_right(
    stage: Make, minutes: int
) -> None:
    s = stage()
    s.clock = Skewed(s.clock, timedelta(minutes=minutes))
    begins = s.clock.now() + timedelta(minutes=5)
    event = s.google.add_event(SELF, start=begins, end=begins + timedelta(hours=1))
    s.run()
    assert len(s.blocks()) == 1
    s.google.delete_event(SELF, event["id"])
    s.later()
    assert s.blocks() == []
    s.in_step()


@pytest.mark.parametrize("year", [2028, 2032])
def test_the_leap_day_is_a_day(stage: Make, year: int) -> None:
    s = stage(clock=VirtualClock(datetime(year, 2, 27, 15, tzinfo=UTC)))
    leap = date(year, 2, 29)
    s.google.add_event(SELF, start=leap, end=date(year, 3, 1))
    s.google.add_series(SELF, "FREQ=DAILY;COUNT=4", s.at(0, 16), s.at(0, 17))
    visit = s.welkin.book_encounter(s.ids["dana"], s.at(2, 23), s.at(3, 1))
    s.run()
    starts = [block.start for block in s.blocks()]
    assert s.at(2, 0) in starts
    assert [s.at(day, 16) in starts for day in range(4)] == [True] * 4
    assert s.day(2) == leap
    assert s.mirror_times() == [(s.at(2, 23), s.at(3, 1))]
    # A year on, there is no such day, and nothing is left over.
    s.later(days=1)
    s.later(days=2)
    s.welkin.cancel_event(visit.event_id)
    s.later()
    assert s.state().failures == 0
    s.in_step()


def test_a_birthday_of_the_leap_day_and_a_yearly_event_of_it(stage: Make) -> None:
    s = stage(clock=VirtualClock(datetime(2028, 2, 20, 15, tzinfo=UTC)))
    leap = date(2028, 2, 29)
    s.google.add_series(SELF, "FREQ=YEARLY", leap, date(2028, 3, 1), summary="Yearly")
    s.google.add_series(
        SELF, "FREQ=YEARLY", leap, date(2028, 3, 1), eventType="birthday",
        transparency="transparent", visibility="private",
    )  # fmt: skip
    s.run()
    assert [block.start.date() for block in s.blocks()] == [leap]
    s.in_step()


@pytest.mark.parametrize(
    "kind",
    [
        OperationalError, InterfaceError, ProgrammingError, InternalError, NotSupportedError,
        DatabaseError, DBAPIError,
    ],
)  # fmt: skip
def test_whatever_the_driver_complains_of_is_no_failure_of_the_user(
    stage: Make, monkeypatch: pytest.MonkeyPatch, kind: type[DBAPIError]
) -> None:
    """A pooler, a missing right, a damaged file: the next run finds the work."""
    s = stage()
    everything(s)

    def of(*_: Any) -> list[Any]:
        raise kind("SELECT", {}, Exception("prepared statement exists"))

    with monkeypatch.context() as broken:
        broken.setattr(LinkStore, "of", of)
        with pytest.raises(kind):
            s.later()
    assert s.state().failures == 0
    complete(s)
