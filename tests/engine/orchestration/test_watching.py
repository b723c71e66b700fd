"""Noticing as the triggerer keeps it: in a thread, against real servers."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.orchestration import alarms
from calendar_sync.orchestration.watching import notice
from calendar_sync.state.noticing import RESTS_AFTER
from tests.engine.orchestration.test_tasks import GOOGLE, Bench, bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calendar_sync.insight.health.render import Message

__all__ = ["bench"]

#: On the busiest machine.
PATIENCE = 600.0


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What operators are told."""
    texts: list[str] = []

    def send(notify: object, message: Message) -> str:
        texts.append(message.text)
        return ""

    monkeypatch.setattr(alarms, "send", send)
    return texts


@pytest.fixture
def watched(bench: Bench) -> Iterator[Callable[[], None]]:
    stop = threading.Event()
    thread = threading.Thread(target=notice, args=(GOOGLE, lambda: True, stop))
    bench.settings(notify={"to": ["operator@example.org"]})
    yield thread.start
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def wait(done: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < until
        time.sleep(0.1)


def run_came(bench: Bench, ago: timedelta) -> None:
    bench.store.noticing.run_came(GOOGLE, datetime.now(UTC) - ago, expected=True)


def test_operators_are_told_when_no_run_comes_any_more(
    bench: Bench, told: list[str], watched: Callable[[], None]
) -> None:
    run_came(bench, RESTS_AFTER + timedelta(minutes=1))
    watched()
    wait(lambda: told)
    [text] = told
    assert "no run of the DAG has come since" in text
    assert not bench.store.noticing.of(Platform.GOOGLE.value).alive(datetime.now(UTC))


def test_nobody_is_told_of_a_dag_that_runs_or_has_never_run(
    bench: Bench, told: list[str], watched: Callable[[], None]
) -> None:
    watched()
    run_came(bench, timedelta(0))
    wait(lambda: bench.store.noticing.of(Platform.GOOGLE.value).alive(datetime.now(UTC)))
    assert told == []
