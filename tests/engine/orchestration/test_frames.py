"""What an error tracker collects of an exception that leaves: every frame with all its locals."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import typer
from airflow.sdk.exceptions import AirflowTaskTimeout
from rich.pretty import pretty_repr
from starlette.testclient import TestClient

from calendar_sync.adapters.http import HttpClient
from calendar_sync.admin.web.access import Right
from calendar_sync.admin.web.guard import Guard
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import reported
from calendar_sync.core.boundary import Hidden
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import ConfigurationError, SyncError, UnexpectedError
from calendar_sync.orchestration.hooks import WelkinHook
from calendar_sync.orchestration.running import StateUnavailable, run
from calendar_sync.orchestration.tasks import health, sync
from calendar_sync.orchestration.tasks.maintenance import remove_old_runs
from calendar_sync.state import Store
from calendar_sync_sandbox import Fault
from tests.engine.admin.test_dag_guard import Fixed
from tests.engine.orchestration.test_tasks import CANARY, GOOGLE, KEY, Bench, bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync.state.config import Revision
    from calendar_sync.sync.services import Services

__all__ = ["bench"]


def collected(error: BaseException | None) -> str:
    """All frames of the exception and of all that it came from, whether it says so or not."""
    lines: list[str] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        lines += [repr(one), str(one), repr(one.__dict__)]
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename == __file__:
                continue  # what this file knows, it may know
            for name, value in frame.f_locals.items():
                lines.append(f"{name} = {value!r}")
                lines.append(pretty_repr(value, max_depth=6))
    return "\n".join(lines)


def secrets_of(bench: Bench) -> list[str]:
    found = load_secrets()
    assert found.google is not None
    return [
        KEY,
        CANARY,
        str.__str__(found.welkin.secret),
        *found.google.private_key.splitlines()[1:-1],
        *map(str, found.fernet_keys),
        "eyJ",
        *bench.sandbox.canaries,
    ]


def assert_clean(bench: Bench, error: BaseException | None) -> None:
    text = collected(error)
    assert [secret for secret in secrets_of(bench) if secret in text] == []


class Deep(Exception):
    """Of no library that we know."""


def fails_with(error: BaseException) -> Callable[..., Any]:
    async def once(self: HttpClient, *args: Any, **kwargs: Any) -> Any:
        appointment = {"patient": CANARY, "args": args}
        assert appointment
        raise error

    return once


@pytest.mark.parametrize(
    ("error", "leaves"),
    [
        (Deep(CANARY), UnexpectedError),
        (RecursionError(CANARY), UnexpectedError),
        (SyncError(code_of("welkin_odd")), SyncError),
        (ConfigurationError(detail="x"), ConfigurationError),
        (AirflowTaskTimeout("Timeout"), AirflowTaskTimeout),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(1), SystemExit),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else "",
)
def test_a_fault_in_a_request_leaves_a_task_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: BaseException, leaves: type[BaseException]
) -> None:
    bench.visit("dana")
    found = sync.find_groups(GOOGLE)
    assert found.groups
    monkeypatch.setattr(HttpClient, "_once", fails_with(error))
    with pytest.raises(leaves) as caught:
        sync.find_groups(GOOGLE)
    assert_clean(bench, caught.value)


@pytest.mark.parametrize("code", [400, 401, 403])
def test_a_refusal_leaves_a_task_alone(bench: Bench, code: int) -> None:
    bench.visit("dana")
    bench.sandbox.faults.add(Fault("welkin", "status", times=None, code=code))
    with pytest.raises(SyncError) as caught:
        health.list_accounts()
    assert_clean(bench, caught.value)


def test_a_lost_database_leaves_a_task_alone(bench: Bench) -> None:
    bench.execute("DROP TABLE platform_state")
    with pytest.raises(StateUnavailable) as caught:
        sync.find_groups(GOOGLE)
    assert_clean(bench, caught.value)


def test_work_that_holds_everything_leaves_nothing_of_it(bench: Bench) -> None:
    async def work(services: Services, revision: Revision) -> None:
        everything = (services, CANARY, KEY)
        try:
            raise Deep(everything)
        except Deep as deep:
            raise KeyError(CANARY) from deep

    with pytest.raises(UnexpectedError) as caught:
        run(work)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    assert_clean(bench, error)


def test_a_connection_that_cannot_be_read_leaves_a_task_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WELKIN_DEFAULT", "CALENDAR_SYNC_AIRFLOW"):
        broken = {"conn_type": "welkin", "host": "x", "password": KEY, "extra": "[1]"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(broken))
    for fails in (
        lambda: sync.find_groups(GOOGLE),
        lambda: remove_old_runs("google_calendar_sync"),
        lambda: WelkinHook().get_conn(),
    ):
        with pytest.raises(ConfigurationError) as caught:
            fails()
        assert KEY not in collected(caught.value)


@pytest.mark.parametrize(
    "error", [Deep(CANARY), SyncError(code_of("odd")), KeyboardInterrupt()], ids=repr
)
def test_a_command_leaves_nothing_behind(bench: Bench, error: BaseException) -> None:
    def command() -> None:
        with reported():
            secrets = load_secrets()
            with open_store(secrets.hmac_key):
                raise error

    with pytest.raises((typer.Exit, KeyboardInterrupt)) as caught:
        command()
    assert_clean(bench, caught.value)


def test_an_answer_that_breaks_off_leaves_nothing_behind(bench: Bench) -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        secrets = load_secrets()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Deep(CANARY, secrets)

    client = TestClient(Guard(breaks, Fixed(Right.VIEW)))
    with pytest.raises(UnexpectedError) as caught:
        client.get("/")
    assert_clean(bench, caught.value)


def test_what_holds_secrets_does_not_show_them(bench: Bench) -> None:
    found = load_secrets()
    with open_store(found.hmac_key) as store:
        held: list[Any] = [found, found.welkin, found.google, found.hmac_key, found.fernet_keys]
        held += [store, store.audit, Store]
        text = "\n".join([repr(held), pretty_repr(held, max_depth=6)])
    assert [secret for secret in secrets_of(bench) if secret in text] == []
    key = Hidden("made-up")
    assert (repr(key), str(key), f"{key}", key == "made-up") == ("'…'", "made-up", "made-up", True)
