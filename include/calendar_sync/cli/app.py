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

from calendar_sync.cli.approvals import approvals, approve
from calendar_sync.cli.audit import audit, print_audit
from calendar_sync.cli.check import check
from calendar_sync.cli.choices import choices
from calendar_sync.cli.config import Json, config
from calendar_sync.cli.environment import NO_KEY, load_key, open_store
from calendar_sync.cli.explain import explain
from calendar_sync.cli.health import health, report, runs
from calendar_sync.cli.history import diff, history, rollback
from calendar_sync.cli.mapping import mapping
from calendar_sync.cli.output import (
    FAILED,
    as_json,
    console,
    renamed,
    reported,
    table,
    tell_new_name,
)
from calendar_sync.cli.pauses import pause, resume
from calendar_sync.cli.preview import show_preview
from calendar_sync.cli.probe import probe
from calendar_sync.cli.profiles import show_profiles
from calendar_sync.cli.receive import receive
from calendar_sync.cli.sandbox import sandbox
from calendar_sync.cli.selftest import selftest
from calendar_sync.cli.setup import setup
from calendar_sync.cli.sync import sync
from calendar_sync.cli.unsync import take_back
from calendar_sync.config.credentials import GOOGLE, HMAC_KEY, MICROSOFT, WELKIN
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.plurals import plural
from calendar_sync.core.redaction import install
from calendar_sync.insight.push import in_words
from calendar_sync.insight.status import PlatformStatus, status
from calendar_sync.state import Database, seals
from calendar_sync.state.migrate import upgrade
from calendar_sync.state.place import has_links
from calendar_sync.state.rights import grant

app = typer.Typer(
    help="Sync Welkin schedules with staff calendars, both ways.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="Manage the state database.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(config, name="config")
app.add_typer(mapping, name="mapping")
config.command()(history)
config.command("profiles")(show_profiles)
config.command()(diff)
config.command()(rollback)
config.command("preview")(show_preview)
app.command()(setup)
app.command()(sync)
app.command()(pause)
app.command()(resume)
app.command()(choices)
app.add_typer(approvals, name="approvals")
app.add_typer(audit, name="audit")
app.command()(probe)
app.command()(check)
app.command()(health)
app.command()(report)
app.command()(runs)
app.command("unsync")(take_back)
app.command()(selftest)
app.command()(explain)
app.command()(receive)
# The names that commands had first.
app.command("test", hidden=True)(renamed(selftest, "test", "selftest"))
app.command("approve", hidden=True)(renamed(approve, "approve", "approvals list|grant"))
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
    """Sync Welkin schedules with staff calendars, both ways."""
    install()


@app.command()
def init(json: Json = False) -> None:
    """Create the state database and the signing key, and list the connections that are missing."""
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
            console.print(f"connection {HMAC_KEY}: {'created' if made else 'already exists'}")
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
    """Update the state database to the newest schema."""
    with reported():
        database = Database()
        schema = upgrade(database)
        database.close()
        as_json({"schema": schema}) if json else console.print(f"state database: revision {schema}")


@db.command("grant")
def db_grant(
    role: Annotated[list[str], typer.Argument(help="Names of PostgreSQL roles.")],
    receiver: Annotated[
        bool, typer.Option("--receiver", help="Only what `calendar-sync receive` needs.")
    ] = False,
) -> None:
    """Let other PostgreSQL roles run the sync. They cannot change tables or the audit log."""
    with reported():
        database = Database()
        grant(database, role, receiver=receiver)
        console.print(f"state database: rights granted to {', '.join(role)}", markup=False)
        database.close()


@app.command("status", context_settings={"allow_extra_args": True})
def show_status(
    context: typer.Context,
    json: Json = False,
    verify_audit: Annotated[bool, typer.Option("--verify-audit", hidden=True)] = False,
    seal: Annotated[
        list[str] | None, typer.Option("--seal", "--expected-seal", hidden=True)
    ] = None,
) -> None:
    """Show how many users are up to date, and which users fail and why."""
    given = [*(seal or ()), *context.args]
    problems, newest, run_id = [], "", ""
    with reported():
        if given and not verify_audit:
            raise ConfigurationError(detail="seals are for `calendar-sync audit verify`")
        if verify_audit:
            tell_new_name("status --verify-audit", "audit verify")
        with open_store(load_key() if verify_audit else NO_KEY) as store:
            if verify_audit:
                problems = seals.verify(store, given)
                newest, run_id = store.audit.newest()
                if not json:
                    # First: if the database was manipulated, the rest may be unreadable.
                    print_audit(problems, newest, run_id)
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


def _print_platform(entry: PlatformStatus) -> None:
    users = ", ".join(f"{count} {state.label}" for state, count in entry.users.items())
    shown = f"{entry.platform}: {users or 'no mapped users'}"
    console.print(shown, markup=False, highlight=False)
    console.print(
        f"  oldest change not yet synced: {entry.freshness_seconds:.0f} s; "
        f"{plural(entry.mirrors, 'mirror')}, {plural(entry.blocks, 'block')}; "
        f"{plural(entry.conflicts, 'conflict')} ({entry.undecided} undecided), "
        f"{plural(entry.parked, 'failed item')}, {plural(entry.approvals, 'change')} waiting for "
        "approval",
        markup=False,
        highlight=False,
    )
    if entry.overlaps:
        console.print(f"  {plural(entry.overlaps, 'visit')} booked over busy time")
    if entry.rereading:
        console.print(f"  new settings still to be applied to {plural(entry.rereading, 'user')}")
    if entry.push is not None:
        console.print(f"  push: {in_words(entry.push)}", markup=False, highlight=False)
        if entry.push.blocked:
            code = entry.push.blocked
            console.print(
                f"  push: {code_of(code).in_words} [{code}]", style="yellow", markup=False
            )
    if entry.sweeps is not None:
        said = f"  sweeps: {entry.sweeps.sentence}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    if entry.fault:
        console.print(f"  paused: {entry.fault}", style="red", markup=False)
    for part in entry.noticing:
        if part.stands_still:
            console.print(f"  {part.sentence}", markup=False, highlight=False, soft_wrap=True)
    if entry.paused:
        resting = [
            (one["account"], f"{one['until']:%Y-%m-%d %H:%M}", one["by"]) for one in entry.paused
        ]
        table("  paused users", ("account", "until (UTC)", "by"), resting)
    if entry.failing:
        rows = [
            (u["account"], u["code"], code_of(u["code"] or "").label, u["since"], u["retry_at"])
            for u in entry.failing
        ]
        table("  failing", ("account", "code", "what is wrong", "since", "next try"), rows)


def main() -> None:
    """Entry point of the console script."""
    # Airflow's own warnings do not belong in a command's output.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
