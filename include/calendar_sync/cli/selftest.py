"""`calendar-sync selftest`: test the sync in both directions on the configured systems."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from calendar_sync.cli.environment import load_secrets, new_run_id, open_store
from calendar_sync.cli.output import FAILED, as_json, console, reported
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform
from calendar_sync.operations.selftest import (
    Chosen,
    Options,
    Report,
    SelfTest,
    SelfTestStep,
    StepState,
    choose,
)
from calendar_sync.operations.setup.record import note_selftest
from calendar_sync.state import Store
from calendar_sync.sync.runtime import Secrets, open_services

STYLES = {StepState.OK: "green", StepState.FAILED: "red", StepState.RUNNING: "yellow"}
ENDED = {StepState.OK, StepState.FAILED, StepState.LEFT_OUT, StepState.NOT_REACHED}


def selftest(
    user: Annotated[
        str | None,
        typer.Option(help="Welkin user id, or address. Default: the first user who is up to date."),
    ] = None,
    platform: Annotated[
        Platform | None, typer.Option(help="Required if the user has several calendar systems.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=5, help="Seconds to wait for each change to reach the other side.")
    ] = 300,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for the running scheduler to sync. Default: sync here."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Test the sync in both directions with a test appointment and a test event. Exit 1: it failed.

    Both are private, have no patient and no guests, and are deleted at the end.
    """
    with reported():
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            now, there, faults = SystemClock().now(), secrets.connected, secrets.unusable
            chosen = choose(store, there, user, platform, now, faults)
            if not json:
                _head(store, chosen, watch=wait)
            report = asyncio.run(_run(store, secrets, chosen, timeout, watch=wait, quiet=json))
            note_selftest(store, report, SystemClock().now())
        if json:
            as_json(report.document())
        else:
            _print_end(report)
    if not report.passed:
        raise typer.Exit(FAILED)


async def _run(
    store: Store, secrets: Secrets, chosen: Chosen, timeout: float, *, watch: bool, quiet: bool
) -> Report:
    revision = store.config.revision()
    run_id = new_run_id("test")
    options = Options(timeout, watch, run_id, f"{run_id}/{os.getpid()}")
    # Test the credentials as they are stored now, not a cached token.
    limits = revision.settings.limits
    async with open_services(secrets, store.database, limits, own_tokens=True) as services:
        test = SelfTest(services, revision, chosen, options)
        with _shown(test, quiet=quiet) as tell:
            test.tell = tell
            try:
                return await test.run()
            except asyncio.CancelledError:
                # After Ctrl-C it has cleaned up already.
                return test.report()


def _head(store: Store, chosen: Chosen, *, watch: bool) -> None:
    mapped, settings = chosen.mapped, store.config.revision().settings
    direction = settings.direction_of(mapped.platform, mapped.direction)
    console.print(
        f"{mapped.account} on {mapped.platform.value} (Welkin user {mapped.user_id}; "
        f"{chosen.why}), {direction.value}; "
        + ("waiting for the scheduler" if watch else "syncing this user here"),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@contextlib.contextmanager
def _shown(test: SelfTest, *, quiet: bool) -> Iterator[Callable[[SelfTestStep], None]]:
    """A live table on a terminal; elsewhere one line for each step that has ended."""
    if quiet:
        yield lambda step: None
    elif console.is_terminal:
        table = Live(console=console, get_renderable=lambda: _table(test), refresh_per_second=4)
        with table:
            yield lambda step: None
    else:
        told: set[str] = set()

        def tell(step: SelfTestStep) -> None:
            if step.state in ENDED and step.name not in told:
                told.add(step.name)
                _print_line(step)

        for step in test.progress.steps.values():
            tell(step)
        yield tell


def _table(test: SelfTest) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0))
    made.add_column("step")
    made.add_column("")
    made.add_column("seconds", justify="right")
    made.add_column("", no_wrap=True, overflow="ellipsis")
    for step in test.progress.steps.values():
        seconds = "" if step.seconds is None else f"{step.seconds:.1f}"
        state = "" if step.state is StepState.WAITING else step.state.value
        style = STYLES.get(step.state, "dim")
        made.add_row(step.text, f"[{style}]{state}[/]", seconds, _said(step).replace("[", r"\["))
    return made


def _print_line(step: SelfTestStep) -> None:
    seconds = "      " if step.seconds is None else f"{step.seconds:5.1f}s"
    line = f"{step.state.value:11} {seconds}  {step.text}"
    said = _said(step)
    console.print(
        line + (f" ({said})" if said else ""), markup=False, highlight=False, soft_wrap=True
    )


def _said(step: SelfTestStep) -> str:
    return ": ".join(part for part in (step.code, step.detail) if part)


def _print_end(report: Report) -> None:
    failed = report.failed
    if report.passed:
        said, style = f"PASS in {report.seconds:.0f} s", "green"
    elif failed is None:  # pragma: no cover - what is not passed has failed somewhere
        said, style = "FAIL", "red"
    else:
        said, style = f'FAIL at "{failed.text}": {_said(failed)}', "red"
    console.print(said, style=style, markup=False, soft_wrap=True)
    for step in report.steps:
        if step.advice:
            console.print(f"  {step.code}: {step.advice}", markup=False, soft_wrap=True)
