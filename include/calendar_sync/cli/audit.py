"""`calendar-sync audit …`: is the audit log complete, and what did a mailbox show?"""

from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_key, open_store
from calendar_sync.cli.output import FAILED, as_json, console, reported, table
from calendar_sync.core.plurals import plural
from calendar_sync.insight.exposure import exposure
from calendar_sync.state import seals

audit = typer.Typer(help="The audit log: one line for each write.", no_args_is_help=True)


@audit.command("verify")
def verify(
    seal: Annotated[
        list[str] | None,
        typer.Option(
            "--seal",
            "--expected-seal",
            help="A seal from a run's log or another place; repeatable.",
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="SEAL", help="The same as --seal.")
    ] = None,
    json: Json = False,
) -> None:
    """Verify that the audit log was not changed. Exit 1: it was."""
    with reported(), open_store(load_key()) as store:
        problems = seals.verify(store, [*(seal or ()), *(more or ())])
        newest, run_id = store.audit.newest()
        if json:
            as_json({"audit": problems, "seal": newest})
        else:
            print_audit(problems, newest, run_id)
    if problems:
        raise typer.Exit(FAILED)


def print_audit(problems: list[str], newest: str, run_id: str) -> None:
    """Print the problems that were found, and the newest seal."""
    for problem in problems:
        console.print(f"audit: {problem}", style="red", markup=False, soft_wrap=True)
    if not problems:
        console.print("audit: OK, the audit log is complete and unchanged")
    if newest:
        line = f"audit: newest seal {newest} (run {run_id})"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@audit.command("exposure")
def show_exposure(
    account: Annotated[str, typer.Option(help="Address of the mailbox.")], json: Json = False
) -> None:
    """List the appointments that a mailbox showed: when, and at which level of detail."""
    with reported(), open_store() as store:
        found = exposure(store, account)
        if json:
            as_json([asdict(entry) for entry in found])
            return
        columns = ("appointment", "user", "platform", "title/description", "since", "until", "now")
        rows = [
            (
                entry.appointment_id,
                entry.user_id,
                entry.platform,
                ", ".join(entry.levels),
                f"{entry.since:%Y-%m-%d %H:%M}",
                f"{entry.until:%Y-%m-%d %H:%M}" if entry.until else "",
                entry.state,
            )
            for entry in found
        ]
        table(f"Appointments shown in {account}", columns, rows)
        console.print(f"{plural(len(found), 'appointment')}, times in UTC")
