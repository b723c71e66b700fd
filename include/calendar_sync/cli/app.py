"""The commands themselves; groups live in modules of their own."""

import contextlib
import os
import sys
import warnings
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated

import typer

from calendar_sync.cli.approvals import approve
from calendar_sync.cli.check import check
from calendar_sync.cli.config import Json, config
from calendar_sync.cli.environment import NO_KEY, load_key, open_store
from calendar_sync.cli.explain import explain
from calendar_sync.cli.health import health, report, runs
from calendar_sync.cli.history import diff, history, rollback
from calendar_sync.cli.mapping import mapping
from calendar_sync.cli.output import FAILED, as_json, console, reported, table
from calendar_sync.cli.preview import show_preview
from calendar_sync.cli.probe import probe
from calendar_sync.cli.sandbox import sandbox
from calendar_sync.cli.selftest import selftest
from calendar_sync.cli.setup import setup
from calendar_sync.cli.sync import sync
from calendar_sync.cli.unsync import take_back
from calendar_sync.config.credentials import GOOGLE, HMAC_KEY, MICROSOFT, WELKIN
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.redaction import install
from calendar_sync.insight.status import PlatformStatus, status
from calendar_sync.state import Database, seals
from calendar_sync.state.migrate import upgrade
from calendar_sync.state.place import has_links
from calendar_sync.state.rights import grant

app = typer.Typer(
    help="Keep Welkin schedules and staff calendars in step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The state database.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(config, name="config")
app.add_typer(mapping, name="mapping")
config.command()(history)
config.command()(diff)
config.command()(rollback)
config.command("preview")(show_preview)
app.command()(setup)
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
# Images for production leave the sandbox out.
if find_spec("calendar_sync_sandbox"):
    app.command()(sandbox)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"calendar-sync {version('calendar-sync')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Keep Welkin schedules and staff calendars in step."""
    install()


@app.command()
def init(json: Json = False) -> None:
    """Make the state database and the organisation's key, and say which connections are missing."""
    with reported():
        database = Database()
        schema = upgrade(database)
        links_stand = has_links(database)
        database.close()
        if not json:
            console.print("state database: up to date")
        from calendar_sync.orchestration.connections import ensure_hmac_key, missing_connections

        with contextlib.redirect_stdout(sys.stderr):
            made = ensure_hmac_key(links_stand=links_stand)
        if not json:
            console.print(f"connection {HMAC_KEY}: {'made' if made else 'there already'}")
        missing = missing_connections((WELKIN, GOOGLE, MICROSOFT))
        # One calendar system is enough.
        if {GOOGLE, MICROSOFT} - set(missing):
            missing = [name for name in missing if name == WELKIN]
        if json:
            as_json({"schema": schema, "key_made": made, "missing": missing})
            return
        for name in missing:
            console.print(f"connection {name}: missing, see docs/", style="yellow")
        if missing:
            console.print("what to do next: calendar-sync setup, or the admin pages")


@db.command("upgrade")
def db_upgrade(json: Json = False) -> None:
    """Bring the state database to the newest schema."""
    with reported():
        database = Database()
        schema = upgrade(database)
        database.close()
        as_json({"schema": schema}) if json else console.print(f"state database: revision {schema}")


@db.command("grant")
def db_grant(
    role: Annotated[list[str], typer.Argument(help="Roles of the PostgreSQL server.")],
) -> None:
    """Let other database roles run the sync: rows yes, tables no, the record only added to."""
    with reported():
        database = Database()
        grant(database, role)
        console.print(f"state database: rights given to {', '.join(role)}", markup=False)
        database.close()


@app.command("status")
def show_status(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verify_audit: Annotated[
        bool, typer.Option(help="Check the record of all operations; exit 1 when it is damaged.")
    ] = False,
    seal: Annotated[
        list[str] | None,
        typer.Option(
            "--seal",
            "--expected-seal",
            help="With --verify-audit: a seal kept elsewhere, as a run's log says it; repeatable.",
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[SEAL]...", help="The same as --seal.")
    ] = None,
) -> None:
    """Freshness, users by state, failures with their codes."""
    given = [*(seal or ()), *(more or ())]
    problems, newest, run_id = [], "", ""
    with reported():
        if given and not verify_audit:
            raise ConfigurationError(detail="seals are looked for with --verify-audit")
        with open_store(load_key() if verify_audit else NO_KEY) as store:
            if verify_audit:
                problems = seals.verify(store, given)
                newest, run_id = store.audit.newest()
                if not json:
                    # Told first: where somebody wrote in the database, the rest may be unreadable.
                    _print_audit(problems, newest, run_id)
            found = status(store, SystemClock().now())
        if json:
            document = {"platforms": [asdict(entry) for entry in found], "audit": problems}
            as_json(document | ({"seal": newest} if verify_audit else {}))
        else:
            for entry in found:
                _print_platform(entry)
            if not found:
                console.print("no users are mapped yet: calendar-sync config apply FOLDER")
    if problems:
        raise typer.Exit(FAILED)


def _print_audit(problems: list[str], newest: str, run_id: str) -> None:
    for problem in problems:
        console.print(f"audit: {problem}", style="red", markup=False, soft_wrap=True)
    if not problems:
        console.print("audit: whole")
    if newest:
        line = f"audit: newest seal {newest} (run {run_id})"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_platform(entry: PlatformStatus) -> None:
    users = ", ".join(f"{count} {state.label}" for state, count in entry.users.items())
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
    # What Airflow has to say of its own configuration and code is not the answer to a command.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
