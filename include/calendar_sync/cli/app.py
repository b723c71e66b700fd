"""The commands themselves; groups live in modules of their own."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from calendar_sync.cli.approvals import approve
from calendar_sync.cli.check import check
from calendar_sync.cli.config import config
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.explain import explain
from calendar_sync.cli.health import health, report, runs
from calendar_sync.cli.history import diff, history, rollback
from calendar_sync.cli.mapping import mapping
from calendar_sync.cli.output import FAILED, as_json, console, reported, table
from calendar_sync.cli.preview import show_preview
from calendar_sync.cli.probe import probe
from calendar_sync.cli.selftest import selftest
from calendar_sync.cli.sync import sync
from calendar_sync.cli.unsync import take_back
from calendar_sync.clock import SystemClock
from calendar_sync.connections import GOOGLE, HMAC_KEY, MICROSOFT, WELKIN
from calendar_sync.reporting import PlatformStatus, status
from calendar_sync.state import Database
from calendar_sync.state.migrate import upgrade

app = typer.Typer(
    help="Keep Welkin schedules and staff calendars in step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
db = typer.Typer(help="The state database.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(config, name="config")
app.add_typer(mapping, name="mapping")
config.command()(history)
config.command()(diff)
config.command()(rollback)
config.command("preview")(show_preview)
app.command()(sync)
app.command()(approve)
app.command()(probe)
app.command()(check)
app.command()(health)
app.command()(report)
app.command()(runs)
app.command("unsync")(take_back)
app.command("test")(selftest)
app.command()(explain)


@app.command()
def init() -> None:
    """Make the state database and the organisation's key, and say which connections are missing."""
    with reported():
        database = Database()
        upgrade(database)
        database.close()
        console.print("state database: up to date")
        from calendar_sync.orchestration.connections import ensure_hmac_key, missing_connections

        made = ensure_hmac_key()
        console.print(f"connection {HMAC_KEY}: {'made' if made else 'there already'}")
        missing = missing_connections((WELKIN, GOOGLE, MICROSOFT))
        # One calendar system is enough.
        if {GOOGLE, MICROSOFT} - set(missing):
            missing = [name for name in missing if name == WELKIN]
        for name in missing:
            console.print(f"connection {name}: missing, see docs/", style="yellow")


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the state database to the newest schema."""
    with reported():
        database = Database()
        console.print(f"state database: revision {upgrade(database)}")
        database.close()


@app.command("status")
def show_status(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verify_audit: Annotated[
        bool, typer.Option(help="Check the record of all operations; exit 1 when it is damaged.")
    ] = False,
) -> None:
    """Freshness, users by state, failures with their codes."""
    problems: list[str] = []
    with reported():
        key = load_secrets().hmac_key if verify_audit else ""
        with open_store(key) as store:
            found = status(store, SystemClock().now())
            if verify_audit:
                problems = store.audit.verify()
        if json:
            as_json({"platforms": [asdict(entry) for entry in found], "audit": problems})
        else:
            for entry in found:
                _print_platform(entry)
            if not found:
                console.print("no users are mapped yet: calendar-sync config apply FOLDER")
            for problem in problems:
                console.print(f"audit: {problem}", style="red", markup=False)
            if verify_audit and not problems:
                console.print("audit: whole")
    if problems:
        raise typer.Exit(FAILED)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="0 for a free one.")] = 8443,
    users: Annotated[int, typer.Option(help="How many members of staff.")] = 25,
    encounters: Annotated[int, typer.Option(help="How many encounters each.")] = 20,
    directory: Annotated[
        Path, typer.Option(help="Where ca.pem, connections.json and sandbox.json are written.")
    ] = Path(".sandbox"),
    seed: Annotated[int, typer.Option(help="Another organisation for another number.")] = 1,
    welkin_rate: Annotated[
        int, typer.Option(help="Requests a second before Welkin answers 429.")
    ] = 5,
    microsoft: Annotated[
        Literal["none", "half", "all"],
        typer.Option(help="Whose mailbox is there, not with Google; half: one user has both."),
    ] = "half",
) -> None:
    """Serve made-up Welkin, Google and Microsoft servers over HTTPS until interrupted."""
    from calendar_sync.sandbox import Sandbox, serve

    made = Sandbox(seed=seed)
    made.organise(users=users, encounters=encounters, microsoft=microsoft)
    made.welkin.rate_limit = welkin_rate
    serve(made, port, directory)


def _print_platform(entry: PlatformStatus) -> None:
    users = ", ".join(f"{count} {state}" for state, count in sorted(entry.users.items()))
    shown = f"{entry.platform}: {users or 'nobody is mapped'}"
    console.print(shown, markup=False, highlight=False)
    console.print(
        f"  oldest change not yet synced: {entry.freshness_seconds:.0f} s; "
        f"{entry.mirrors} mirrors, {entry.blocks} blocks; {entry.conflicts} conflicts "
        f"({entry.undecided} undecided), "
        f"{entry.parked} parked, {entry.approvals} waiting for approval",
        markup=False,
        highlight=False,
    )
    if entry.rereading:
        console.print(f"  {entry.rereading} users still to be read under the new settings")
    if entry.fault:
        console.print(f"  stopped: {entry.fault}", style="red", markup=False)
    if entry.failing:
        rows = [(u["account"], u["code"], u["since"], u["retry_at"]) for u in entry.failing]
        table("  failing", ("account", "code", "since", "next try"), rows)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
