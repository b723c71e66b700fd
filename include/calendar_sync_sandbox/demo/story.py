"""The story: edits followed to the other side through real DAG runs, on both platforms at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calendar_sync_sandbox.demo.acts import BothPlatforms, DemoStep, OnePlatform
from calendar_sync_sandbox.demo.push import Push
from calendar_sync_sandbox.demo.runs import Runs, breathe, together
from calendar_sync_sandbox.demo.stage import DAG_IDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.clock import Clock
    from calendar_sync_sandbox.demo.push import PushStage
    from calendar_sync_sandbox.demo.world import World
    from calendar_sync_sandbox.standalone import StandaloneAirflow


class Story:
    """Plays the steps and keeps their results.

    Args:
        world: all sides.
        airflow: where the DAGs run.
        stage: where the receiver of push runs.
        report: called with each finished step.
        clock: the time by which Airflow stamps its runs.
        pause: called between two looks at what goes on.
    """

    def __init__(
        self,
        world: World,
        airflow: StandaloneAirflow,
        stage: PushStage,
        report: Callable[[DemoStep], None],
        *,
        clock: Clock | None = None,
        pause: Callable[[], None] = breathe,
    ) -> None:
        self.world = world
        self.airflow = airflow
        self.steps: list[DemoStep] = []
        self._report = report
        self._pause = pause
        mailboxes = {platform: world.users(platform) for platform in DAG_IDS}
        owners = [{user.welkin_id for user in users} for users in mailboxes.values()]
        everywhere = min(set.intersection(*owners))
        self._acts = [
            OnePlatform(
                platform,
                world,
                Runs(airflow, [DAG_IDS[platform]], clock),
                self._keep,
                [user for user in users if user.welkin_id != everywhere],
            )
            for platform, users in mailboxes.items()
        ]
        everything = list(DAG_IDS.values())
        self._last_acts: list[BothPlatforms | Push] = [
            BothPlatforms(
                world,
                Runs(airflow, everything, clock),
                self._keep,
                [
                    user
                    for users in mailboxes.values()
                    for user in users
                    if user.welkin_id == everywhere
                ],
            ),
            Push(
                world,
                Runs(airflow, everything, clock),
                self._keep,
                stage,
                [act.dana for act in self._acts],
            ),
        ]

    def _keep(self, step: DemoStep) -> None:
        self.steps.append(step)
        self._report(step)

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong so far."""
        return not any(step.error for step in self.steps)

    @property
    def length(self) -> int:
        """How many steps it has, the look at all runs left out."""
        return sum(act.LENGTH for act in [*self._acts, *self._last_acts])

    @property
    def current(self) -> str:
        """What is being followed now, in words."""
        acts = [*self._acts, *self._last_acts]
        return "; ".join(f"{act.platform}: {act.current}" for act in acts if act.current)

    def play(self) -> None:
        """Play the same steps on each platform at the same time, then those that need both."""
        together((act.play() for act in self._acts), self._pause)
        for act in self._last_acts:
            if self.holds:
                together([act.play()], self._pause)

    def rest(self) -> None:
        """Switch both schedules off, so that nothing is written any more.

        Raises:
            StepError: a run does not end.
        """
        together((act.runs.rest() for act in self._acts), self._pause)

    def review(self) -> None:
        """Look at all runs once more, as the last step; the schedules are off."""
        together((act.review() for act in self._acts), self._pause)

    def failed_users(self) -> int:
        """Users that a last run of each DAG leaves failing, newly or still.

        Raises:
            StepError: a run does not end.
        """
        last = [(dag_id, self.airflow.trigger(dag_id)) for dag_id in DAG_IDS.values()]
        together((act.runs.settle() for act in self._acts), self._pause)
        return sum(
            task.state == "failed" or "failing" in (task.label or "")
            for dag_id, run_id in last
            for task in self.airflow.task_instances(dag_id, run_id)
        )
