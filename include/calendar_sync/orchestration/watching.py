"""Noticing in Airflow's triggerer: a trigger for each platform, whose events start its DAG.

DAG files import this module: everything heavy is imported by the thread.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from calendar_sync.core.dag_ids import sync_of

if TYPE_CHECKING:
    from calendar_sync.core.model import Platform
    from calendar_sync.state import Store
    from calendar_sync.state.config import Revision
    from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 15.0
JOIN_SECONDS = 20.0
LONGEST_OWNER = 255


class ChangesTrigger(BaseEventTrigger):
    """Looks for changes on one platform for as long as it runs; each event asks for a run.

    Its work is in a thread with an event loop of its own: it may wait for the state database, and
    the triggerer's loop serves all other triggers. An event says nothing but the platform.
    """

    def __init__(self, platform: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.platform = platform

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow stores it."""
        return f"{__name__}.{type(self).__name__}", {"platform": self.platform}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never ends by itself: Airflow starts an ended trigger only when it parses the DAG."""
        loop, asked, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def ask() -> bool:
            if _one_is_queued(sync_of(self.platform)):
                return False
            loop.call_soon_threadsafe(asked.set)
            return True

        thread = threading.Thread(
            target=notice, args=(self.platform, ask, stop), name=f"noticing-{self.platform}"
        )
        thread.daemon = True
        thread.start()
        try:
            while True:
                await asked.wait()
                asked.clear()
                yield TriggerEvent({"platform": self.platform})  # type: ignore[no-untyped-call]
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, JOIN_SECONDS)


def notice(platform: str, ask: Callable[[], bool], stop: threading.Event) -> None:
    """Keep watch until `stop`; whatever goes wrong, begin again."""
    from calendar_sync.core.model import Platform
    from calendar_sync.core.redaction import describe
    from calendar_sync.orchestration.running import run
    from calendar_sync.push.channels import tend_channels
    from calendar_sync.sync.noticing.watch import Watch, keep_watch

    owner = f"{socket.gethostname()}/{os.getpid()}/{platform}/{uuid.uuid4().hex}"[-LONGEST_OWNER:]

    async def work(services: "Services", revision: "Revision") -> None:
        watch = Watch(services, revision, Platform(platform), owner, ask)

        async def channels() -> None:
            if watch.leads() and watch.time_for_channels():
                await tend_channels(services, revision, Platform(platform))

        async def alarms() -> None:
            if watch.time_for_alarms():
                now = services.clock.now()
                tell = tell_all if watch.leads() else tell_operators
                await asyncio.to_thread(tell, services.store, Platform(platform), now)

        await keep_watch(watch, stop.is_set, channels, alarms)

    while not stop.is_set():
        try:
            run(work, platforms=[Platform(platform)])
        except Exception as error:
            logger.warning("noticing on %s begins again: %s", platform, describe(error))
            stop.wait(AGAIN_SECONDS)


def tell_all(store: "Store", platform: "Platform", now: datetime) -> None:
    """What runs do at their end, for the case that none comes to its end."""
    from calendar_sync.orchestration.people import tell_people
    from calendar_sync.sync.runner import close_lost_runs

    with _logged(platform):
        close_lost_runs(store, platform, now)
    tell_operators(store, platform, now)
    with _logged(platform):
        tell_people(store, platform, now)


def tell_operators(store: "Store", platform: "Platform", now: datetime) -> None:
    """Alarms alone: this watch has not the platform, or no run of its DAG comes any more."""
    from calendar_sync.orchestration.alarms import raise_alarms

    with _logged(platform):
        raise_alarms(store, platform, now)


@contextlib.contextmanager
def _logged(platform: "Platform") -> Iterator[None]:
    """What cannot be told now is tried again in a minute."""
    from calendar_sync.core.redaction import describe

    try:
        yield
    except Exception as error:
        logger.warning("alarms of %s: %s", platform.value, describe(error))


def _one_is_queued(dag_id: str) -> bool:
    """A run has been created and has not begun. Where that is not known, none."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        return RuntimeTaskInstance.get_dr_count(dag_id, states=["queued"]) > 0
    except Exception as error:
        logger.warning("the runs of %s cannot be counted: %s", dag_id, type(error).__name__)
        return False
