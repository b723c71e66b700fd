"""The faults of a cluster, each during a run, and how long whom it kept waiting."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from calendar_sync.state import tables as t
from calendar_sync_sandbox import Fault
from tests.e2e.cluster.cluster import WORKERS, kill
from tests.e2e.cluster.stage import DAGS, Edit, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from calendar_sync_sandbox.demo.world import User

#: Edits of others after a fault, and seconds between two of them.
PROBES, PROBE_EVERY = 30, 2.0
#: How long a write is held up; the fault strikes long before.
HELD_SECONDS = 25.0
CLOCK_OFF = "300"


@dataclass(frozen=True)
class Wanted:
    """The most seconds that others, and everybody, are to wait; None where it is only told."""

    others: float | None
    all: float | None


AS_IT_IS = Wanted(None, None)


@dataclass
class Measured:
    """Seconds from the fault, or the edit if that came later, until the other side showed it."""

    name: str
    wanted: Wanted
    others: list[float]
    hit: list[float]
    problems: list[str]
    load: float

    def line(self) -> str:
        """One row of the table."""
        others, everybody = max(self.others), max(self.others + self.hit)
        bad = [
            word
            for word, seconds, most in (
                ("others", others, self.wanted.others),
                ("all", everybody, self.wanted.all),
            )
            if most is not None and seconds > most
        ]
        wanted = (
            f"others ≤ {self.wanted.others:.0f}, all ≤ {self.wanted.all:.0f}"
            if self.wanted.others and self.wanted.all
            else "-"
        )
        middle = sorted(self.others)[len(self.others) // 2]
        words = "; ".join(self.problems) or "converged, no duplicate, record whole"
        late = f"  LATE: {', '.join(bad)}" if bad else ""
        return (
            f"{self.name:34} others {others:6.1f} s (half {middle:5.1f})  "
            f"all {everybody:6.1f} s  wanted {wanted:26} load {self.load:4.1f}  {words}{late}"
        )


class Faults:
    """Strikes one after the other."""

    def __init__(self, stage: Stage, disk: Path | None) -> None:
        self.stage, self.disk = stage, disk
        people = sorted(stage.users, key=lambda user: (user.platform, user.welkin_id))
        self.google = [user for user in people if user.platform == "google"]
        self._struck = 0.0
        self._probed, self._hit = itertools.cycle(stage.users), itertools.cycle(self.google)

    def some(self, count: int) -> list[User]:
        """The next of Google's users, at most half of them."""
        return list(itertools.islice(self._hit, min(count, len(self.google) // 2)))

    # --- What a fault meets -----------------------------------------------------------------------

    def hold(self, users: Iterable[User]) -> list[Edit]:
        """Book a visit for each, and wait until as many tasks as there are slots stand in a write.

        Google's users: nobody but their cycle writes there.
        """
        stage, users = self.stage, list(users)
        held = [
            stage.sandbox.faults.add(
                Fault(
                    "google",
                    "latency",
                    method="POST",
                    path="/events",
                    user=user.account,
                    times=None,
                    seconds=HELD_SECONDS,
                )
            )
            for user in users
        ]
        edits = self.book(users)
        free = stage.airflow.slots * sum(worker in stage.airflow.parts for worker in WORKERS)
        wanted = min(len(users), free)
        stage.wait(
            lambda: sum(fault.struck > 0 for fault in held) >= wanted,
            "writes that are held up",
            lambda: ([fault.struck for fault in held], stage.progress()),
        )
        self._struck = time.monotonic()
        return edits

    def users_by_worker(self) -> dict[str, set[str]]:
        """The users whose cycles run now, by the worker that has them."""
        lease = t.lease.c
        with self.stage.database.read() as connection:
            rows = connection.execute(select(lease.user_id, lease.owner).where(lease.owner != ""))
            of_owner = {row.owner: row.user_id for row in rows}
        found: dict[str, set[str]] = {worker: set() for worker in WORKERS}
        for dag in DAGS:
            for worker, tasks in self.stage.airflow.holders(dag).items():
                for task in tasks:
                    platform = dag.partition("_")[0]
                    owner = f"{task['dag_run_id']}/{task['map_index']}/{platform}"
                    if owner in of_owner:
                        found[worker].add(of_owner[owner])
        return found

    def book(self, users: Iterable[User]) -> list[Edit]:
        """A visit for each, and nothing is held up."""
        return [self.stage.edit(user, visit=True) for user in users]

    def go_on(self) -> None:
        """Nothing is held up any more."""
        self.stage.sandbox.faults.clear()

    # --- Measuring --------------------------------------------------------------------------------

    def measure(
        self, name: str, wanted: Wanted, strike: Callable[[], list[Edit]], heal: Callable[[], None]
    ) -> Measured:
        """Strike, edit others meanwhile, wait until all is well.

        `strike` returns the edits whose users the fault hits.
        """
        stage = self.stage
        stage.settle()
        first = len(stage.edits)
        self._struck = time.monotonic()
        hit = strike()
        names = {edit.user.welkin_id for edit in hit}
        probes = 0
        while probes < PROBES:
            user = next(self._probed)
            if user.welkin_id not in names:
                stage.edit(user, visit=probes % 2 == 0)
                probes += 1
            until = time.monotonic() + PROBE_EVERY
            while time.monotonic() < until:
                self._look()
                time.sleep(0.3)
        heal()
        stage.settle()
        edits = stage.edits[first:]
        waited = {id(e): (e.shown or 0.0) - max(e.made, self._struck) for e in edits}
        return Measured(
            name,
            wanted,
            [waited[id(e)] for e in edits if e not in hit],
            [waited[id(e)] for e in hit],
            stage.problems(),
            os.getloadavg()[0],
        )

    def _look(self) -> None:
        # The database may be what is lost.
        with contextlib.suppress(Exception):
            self.stage.look()

    # --- The faults -------------------------------------------------------------------------------

    def nothing(self) -> Measured:
        """The same edits without a fault: what the machine itself takes."""
        return self.measure("no fault", AS_IT_IS, lambda: self.book(self.some(20)), lambda: None)

    def worker_killed(self) -> Measured:
        lost: list[str] = []

        def strike() -> list[Edit]:
            edits = self.hold(self.some(2 * self.stage.airflow.slots))
            found = self.users_by_worker()
            worker = max(found, key=lambda name: len(found[name]))
            self.stage.airflow.lose(worker)
            self.go_on()
            lost.append(worker)
            return [edit for edit in edits if edit.user.welkin_id in found[worker]]

        def heal() -> None:
            self.stage.airflow.begin(lost[0])

        return self.measure("worker killed", Wanted(60, 150), strike, heal)

    def redis_killed(self) -> Measured:
        def strike() -> list[Edit]:
            edits = self.hold(self.some(58))
            self.stage.redis.kill()
            self.go_on()
            self.stage.redis.start()
            return edits

        return self.measure("Redis killed without its file", Wanted(60, 150), strike, lambda: None)

    def redis_restarted(self) -> Measured:
        def strike() -> list[Edit]:
            edits = self.hold(self.some(20))
            self.stage.redis.stop()
            self.go_on()
            time.sleep(5)
            self.stage.redis.start()
            return edits

        return self.measure("Redis stopped and started", AS_IT_IS, strike, lambda: None)

    def postgres_restarted(self) -> Measured:
        def strike() -> list[Edit]:
            edits = self.hold(self.some(20))
            self.stage.server.restart()
            self.go_on()
            return edits

        return self.measure("PostgreSQL restarted", Wanted(150, 150), strike, lambda: None)

    def scheduler_killed(self) -> Measured:
        def strike() -> list[Edit]:
            edits = self.hold(self.some(20))
            kill(self.stage.airflow.parts["scheduler-1"], keep_leader=True)
            self.go_on()
            return edits

        return self.measure("scheduler killed", AS_IT_IS, strike, lambda: None)

    def disk_full(self) -> Measured | None:
        """As long as the probes last, which is a minute."""
        if self.disk is None:
            return None
        filler = self.disk / "filler"

        def strike() -> list[Edit]:
            edits = self.hold(self.some(20))
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            self.go_on()
            return edits

        def heal() -> None:
            filler.unlink()

        return self.measure("state database's disk full, 60 s", Wanted(150, 150), strike, heal)

    def clock_off(self, seconds: str) -> Measured:
        airflow, worker = self.stage.airflow, WORKERS[0]

        def strike() -> list[Edit]:
            airflow.lose(worker)
            airflow.begin(worker, CLUSTER_CLOCK_SHIFT=seconds)
            return self.book(self.some(20))

        def heal() -> None:
            self.stage.settle()
            airflow.lose(worker)
            airflow.begin(worker)

        return self.measure(f"a worker's clock {seconds} s off", Wanted(60, 150), strike, heal)
