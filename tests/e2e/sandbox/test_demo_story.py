"""The demo's story where the machine is slow, or nothing goes on: played in no time.

The engine and the sandbox are real; the scheduler is one that takes its time, by a clock that only
it moves.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.orchestration.tasks.sync import group_label
from calendar_sync.push.channels import tend_channels
from calendar_sync.push.receiver import create
from calendar_sync.sync.noticing import find_work
from calendar_sync.sync.runner import store_run, sync_users
from calendar_sync_sandbox.courier import into
from calendar_sync_sandbox.demo import world as sides
from calendar_sync_sandbox.demo.runs import ENOUGH_RUNS, LOOKS, Runs, StepError, together
from calendar_sync_sandbox.demo.stage import DAG_IDS
from calendar_sync_sandbox.demo.story import Story
from calendar_sync_sandbox.outbox import Answer, nobody
from calendar_sync_sandbox.processes import ProgramError
from calendar_sync_sandbox.standalone import TaskInstance
from calendar_sync_sandbox.tls import connections
from tests.engine.push.conftest import ADDRESS, KEY
from tests.harness import VirtualClock, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calendar_sync.state.config import Revision
    from calendar_sync.sync.services import Services
    from calendar_sync_sandbox.demo.acts import DemoStep
    from calendar_sync_sandbox.demo.runs import Waiting

SETTINGS = {"polling": {"interval_seconds": 5}, "limits": {"welkin_requests_per_second": 50}}


class Sides(sides.World):
    """The sandbox's sides, asked without a server between."""

    def __init__(self, world: World) -> None:
        self.root = world.sandbox.root
        self.connections = connections(world.sandbox, Path("ca.pem"))
        self._app = world.sandbox.app
        self._welkin_token = ""

    def _request(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> Any:
        async def ask() -> httpx.Response:
            there = httpx.ASGITransport(self._app)
            # Nothing is encrypted, and reading the machine's certificates takes its time.
            async with httpx.AsyncClient(transport=there, verify=False) as client:  # noqa: S501
                return await client.request(method, url, json=body, headers=dict(headers))

        answer = asyncio.run(ask())
        if answer.is_error:
            raise sides.WorldError(f"{method}: {answer.status_code}", answer.status_code)
        return answer.json() if answer.content else None


class SlowAirflow:
    """Runs that begin and end some looks late, each of them so many minutes long.

    When one has ended, an event or the timetable asks for the next.
    """

    def __init__(
        self, clock: VirtualClock, *, late: int, minutes: float, dice: random.Random
    ) -> None:
        self._clock, self._late, self._minutes, self._dice = clock, late, minutes, dice
        self._waiting: dict[str, deque[dict[str, Any]]] = {dag: deque() for dag in DAG_IDS.values()}
        self._all: dict[str, list[dict[str, Any]]] = {dag: [] for dag in DAG_IDS.values()}
        self._tasks: dict[str, list[TaskInstance]] = {}
        self._number = 0
        self.paused: set[str] = set()
        self.stalled = False
        self.looks = 0

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        self._number += 1
        run = {
            "dag_run_id": f"run-{self._number}",
            "state": "queued",
            "start_date": None,
            "end_date": None,
            "users": list((conf or {}).get("users", [])),
            "left": self._dice.randint(0, self._late),
        }
        self._waiting[dag_id].append(run)
        self._all[dag_id].insert(0, run)
        return str(run["dag_run_id"])

    def pause(self, dag_id: str) -> None:
        self.paused.add(dag_id)

    def runs(self, dag_id: str, *states: str, newest: int = 50) -> list[dict[str, Any]]:
        self._turn(dag_id)
        found = [run for run in self._all[dag_id] if not states or run["state"] in states]
        return found[:newest]

    def run_state(self, dag_id: str, run_id: str) -> str:
        [state] = [run["state"] for run in self.runs(dag_id) if run["dag_run_id"] == run_id]
        return str(state)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return self._tasks.get(run_id, [])

    def _turn(self, dag_id: str) -> None:
        self.looks += 1
        if self.stalled or dag_id in self.paused:
            return
        waiting = self._waiting[dag_id]
        if not waiting:
            self.trigger(dag_id)
        run = waiting[0]
        if run["left"]:
            run["left"] -= 1
        elif run["state"] == "queued":
            run |= {"state": "running", "start_date": self._stamp()}
            run["left"] = self._dice.randint(0, self._late)
            self._clock.advance(minutes=self._minutes / 2)
        else:
            self._play(dag_id, run)
            self._clock.advance(minutes=self._minutes / 2)
            run["end_date"] = self._stamp()
            waiting.popleft()

    def _stamp(self) -> str:
        return self._clock.now().isoformat()

    def _play(self, dag_id: str, run: dict[str, Any]) -> None:
        raise NotImplementedError


class Syncing(SlowAirflow):
    """Runs that do what those of the DAGs do."""

    def __init__(self, world: World, **slow: Any) -> None:
        super().__init__(world.clock, **slow)
        self._world = world

    def _play(self, dag_id: str, run: dict[str, Any]) -> None:
        platform = Platform(dag_id.partition("_")[0])
        began, run_id, users = self._clock.now(), str(run["dag_run_id"]), run["users"]

        async def work(services: Services) -> list[TaskInstance]:
            revision = services.store.config.revision()
            await tend_channels(services, revision, platform)
            await self._world.sandbox.outbox.deliver()
            found = await find_work(services, revision, platform, users=users)
            tasks, rows = [], []
            for index, group in enumerate(found.groups):
                done = await self._sync(services, revision, platform, group, f"{run_id}/{index}")
                rows += [outcome.row for outcome in done]
                bad = any(o.status == "failed" and (users or not o.attention) for o in done)
                state = "failed" if bad else "success"
                tasks.append(TaskInstance("sync_user", index, state, group_label(done), 1))
            store_run(services.store, platform, run_id, began, rows, services.clock.now())
            return tasks

        tasks = asyncio.run(self._world.with_services(work))
        failed = any(task.state == "failed" for task in tasks)
        run["state"] = "failed" if failed else "success"
        self._tasks[run_id] = [*tasks, TaskInstance("record_run", -1, "success", None, 1)]

    async def _sync(
        self,
        services: Services,
        revision: Revision,
        platform: Platform,
        group: Sequence[str],
        owner: str,
    ) -> list[Any]:
        run_id = owner.partition("/")[0]
        return await sync_users(services, revision, platform, group, run_id=run_id, owner=owner)


class Told:
    """Push on the state database of the world, with the receiver in this process."""

    def __init__(self, world: World) -> None:
        self._world = world
        clock = world.clock
        self._app = create(
            world.database, KEY, prefix="/push", clock=clock, seconds=clock.monotonic
        )
        self.done: list[str] = []

    def begin_push(self, poll_seconds: int) -> None:
        self._pace(poll_seconds)
        self.restart_receiver()

    def end_receiver(self, poll_seconds: int) -> None:
        self._pace(poll_seconds)
        self._world.sandbox.outbox.post = nobody
        self.done.append("ended")

    def restart_receiver(self) -> None:
        self._world.sandbox.outbox.post = into(self._app)
        self.done.append("started")

    def _pace(self, poll_seconds: int) -> None:
        self._world.document = SETTINGS | {
            "polling": {"interval_seconds": poll_seconds},
            "push": {"address": ADDRESS, "poll_seconds": max(60, poll_seconds)},
        }


@pytest.fixture
def world() -> Iterator[World]:
    """Ten people; the second of them has two mailboxes."""
    made = World(settings=SETTINGS, clock=VirtualClock(datetime.now(UTC)))
    # The clock stands between two runs.
    made.sandbox.welkin.rate_limit = None
    made.sandbox.organise(users=10, encounters=1, microsoft="half")
    mapped = [
        MappedUser(user.welkin_id, Platform(platform), user.account.lower())
        for platform in DAG_IDS
        for user in Sides(made).users(platform)
    ]
    asyncio.run(made.map(mapped))
    yield made
    made.database.close()


def played(world: World, airflow: Any, stage: Told | None = None) -> tuple[Story, list[DemoStep]]:
    steps: list[DemoStep] = []
    stage = stage or Told(world)
    story = Story(Sides(world), airflow, stage, steps.append, clock=world.clock, pause=lambda: None)
    story.play()
    return story, steps


@pytest.mark.parametrize(
    ("late", "minutes"),
    [pytest.param(40, 0.2, marks=pytest.mark.every_seed), (7, 25.0)],
    ids=["late", "one run after the other, with every back-off due"],
)
def test_the_story_holds_however_slow_the_runs_are(world: World, late: int, minutes: float) -> None:
    """The user whose access was revoked fails in whichever runs his back-off comes due."""
    airflow = Syncing(world, late=late, minutes=minutes, dice=random.Random(7))  # noqa: S311
    stage = Told(world)
    story, steps = played(world, airflow, stage)
    assert [(step.edit, step.error) for step in steps if step.error] == []
    assert len(steps) == story.length
    assert stage.done == ["started", "ended", "started"]
    assert story.failed_users() == 0
    story.rest()
    story.review()
    assert airflow.paused == set(DAG_IDS.values())
    assert [(step.edit, step.error) for step in steps if step.error] == []


class Deaf(Told):
    """Once channels are open, the receiver takes nothing more."""

    def begin_push(self, poll_seconds: int) -> None:
        super().begin_push(60)
        take = self._world.sandbox.outbox.post

        async def refuse(
            url: str, headers: Mapping[str, str], body: bytes, seconds: float
        ) -> Answer:
            handshake = "validationToken=" in url or headers.get("x-goog-resource-state") == "sync"
            return await take(url, headers, body, seconds) if handshake else Answer()

        self._world.sandbox.outbox.post = refuse


def test_an_edit_that_a_poll_has_found_does_not_count_as_noticed(world: World) -> None:
    airflow = Syncing(world, late=3, minutes=0.5, dice=random.Random(7))  # noqa: S311
    _, steps = played(world, airflow, Deaf(world))
    told = [step for step in steps if "by push" in step.seen]
    assert len(told) == 2
    assert all(step.error.startswith("no notice has arrived") for step in told)
    assert [step.edit for step in steps if step.error] == [step.edit for step in told]


def test_a_receiver_that_does_not_start_fails_its_step_alone(world: World) -> None:
    class Broken(Told):
        def begin_push(self, poll_seconds: int) -> None:
            raise ProgramError("the receiver of push did not start")

    airflow = Syncing(world, late=3, minutes=0.2, dice=random.Random(7))  # noqa: S311
    _, steps = played(world, airflow, Broken(world))
    assert [step.error for step in steps if step.error] == ["the receiver of push did not start"]
    assert steps[-1].edit.startswith("push on")


def test_a_scheduler_that_does_nothing_ends_the_story(world: World) -> None:
    """By what moved, not by a time: a look at a busy machine takes longer."""
    airflow = Syncing(world, late=0, minutes=0.1, dice=random.Random(7))  # noqa: S311
    airflow.stalled = True
    story, steps = played(world, airflow)
    assert [step.edit for step in steps] == ["first fill", "first fill"]
    assert all("nothing has moved" in step.error for step in steps)
    assert LOOKS < airflow.looks < 10 * LOOKS
    asked = airflow.looks
    story.rest()
    story.review()
    assert airflow.looks - asked < LOOKS


def test_a_scheduler_that_stops_halfway_is_waited_for_once(world: World) -> None:
    airflow = Syncing(world, late=0, minutes=0.1, dice=random.Random(7))  # noqa: S311
    steps: list[DemoStep] = []

    def keep(step: DemoStep) -> None:
        steps.append(step)
        airflow.stalled = step.edit != "first fill"

    there: Any = airflow
    story = Story(Sides(world), there, Told(world), keep, clock=world.clock, pause=lambda: None)
    story.play()
    failed = [step for step in steps if step.error]
    assert len(failed) == 2
    assert {step.platform for step in failed} == {"Google", "Microsoft"}
    assert not story.holds


class Scripted(SlowAirflow):
    """Runs in which nothing is synced, and what is to fail fails."""

    failing: tuple[str, ...] = ()

    def _play(self, dag_id: str, run: dict[str, Any]) -> None:
        run["state"] = "failed" if self.failing else "success"
        self._tasks[run["dag_run_id"]] = [
            *(
                TaskInstance("sync_user", index, "failed", f"{name}: failed (denied)", 1)
                for index, name in enumerate(self.failing)
            ),
            TaskInstance("record_run", -1, "success", None, 1),
        ]


@pytest.fixture
def scripted() -> tuple[Scripted, Runs]:
    clock = VirtualClock(datetime.now(UTC))
    airflow: Any = Scripted(clock, late=3, minutes=3.0, dice=random.Random(7))  # noqa: S311
    return airflow, Runs(airflow, list(DAG_IDS.values()), clock)


def gil(task: TaskInstance) -> bool:
    return "gil@" in (task.label or "")


def play(story: Waiting[Any]) -> None:
    together([story], lambda: None)


def test_an_edit_that_never_arrives_ends_its_step(scripted: tuple[Scripted, Runs]) -> None:
    """Runs come and go, so that something moves all the time."""
    airflow, runs = scripted
    with pytest.raises(StepError, match="not seen"):
        play(runs.follow(lambda: False))
    assert all(len(airflow.runs(dag_id)) >= ENOUGH_RUNS for dag_id in DAG_IDS.values())


def test_only_the_failures_of_the_revoked_user_are_excused(
    scripted: tuple[Scripted, Runs],
) -> None:
    airflow, runs = scripted
    runs.excuse(gil)
    airflow.failing = ("gil@example.org",)
    play(runs.follow(lambda: bool(runs.excused())))
    airflow.failing = ("gil@example.org", "dana@example.org")
    with pytest.raises(StepError, match="dana@"):
        play(runs.follow(lambda: len(runs.excused()) > 1))


def test_the_excuse_ends_when_access_is_restored(scripted: tuple[Scripted, Runs]) -> None:
    """Not for the run that was on its way then: it may have met the closed door."""
    airflow, runs = scripted
    runs.excuse(gil)
    airflow.failing = ("gil@example.org",)
    runs.trigger()
    while not airflow.runs(runs.dag_ids[0], "running"):
        pass
    runs.end_excuses()
    runs.begin()
    for dag_id in runs.dag_ids[1:]:
        airflow.pause(dag_id)
    while not airflow.runs(runs.dag_ids[0], "failed"):
        pass
    assert runs.failed() == []
    assert [gil(task) for task in runs.excused()] == [True]
    while len(airflow.runs(runs.dag_ids[0], "failed")) < 2:
        pass
    assert [gil(task) for task in runs.failed()] == [True]


def test_what_failed_unnoticed_between_two_steps_is_found_at_the_end(
    scripted: tuple[Scripted, Runs],
) -> None:
    airflow, runs = scripted
    airflow.failing = ("dana@example.org",)
    runs.trigger()
    play(runs.settle())
    with pytest.raises(StepError, match="failed"):
        play(runs.all_closed())
