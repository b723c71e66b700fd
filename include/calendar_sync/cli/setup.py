"""`calendar-sync setup`: the list of steps, and those that can be taken at a terminal."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_fields, load_key, load_secrets
from calendar_sync.cli.output import FAILED, as_json, console, progress_bar, reported
from calendar_sync.config.credentials import (
    CONNECTION_IDS,
    WELKIN,
    Fields,
    Missing,
    welkin_credentials,
)
from calendar_sync.config.documents import decode, read_file
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.core.model.accounts import Finding
from calendar_sync.operations.connection_checks import (
    MAILBOXES,
    check_platform,
    check_welkin,
    mailboxes,
    with_own_calendars,
)
from calendar_sync.operations.preview import preview
from calendar_sync.operations.setup import Step, StepStanding, There, next_step, steps
from calendar_sync.operations.setup.look import look
from calendar_sync.operations.setup.record import fingerprint, note_dry_run, note_test
from calendar_sync.operations.setup.steps import SPARED, dags_of, document
from calendar_sync.operations.setup.trying import try_typed
from calendar_sync.operations.setup.typed import FORMS, Form, Input, Mistaken, Typed, read_typed
from calendar_sync.state import Database, Store
from calendar_sync.state.place import Place, place_of
from calendar_sync.sync.runtime import open_services

CLOCK = SystemClock()
STYLES = {StepStanding.DONE: "green", StepStanding.FAULT: "red", StepStanding.TODO: "yellow"}
#: What to type for a step, where that is another command.
COMMANDS = {
    "prepare": "calendar-sync init",
    "welkin": "calendar-sync setup --connect welkin",
    "calendars": "calendar-sync setup --connect google (or microsoft)",
    "privacy": "calendar-sync config apply FOLDER (mirror_content in settings.yaml)",
    "people": "calendar-sync mapping propose --out FILE, then mapping import FILE",
    "dry_run": "calendar-sync setup --preview",
    "selftest": "calendar-sync selftest",
    "switch_on": "calendar-sync setup --switch-on",
}
_SHORT = {form.guide: name for name, form in FORMS.items()}


def setup(
    connect: Annotated[
        str | None,
        typer.Option(help="Ask for a connection's fields and store it: welkin, google, microsoft."),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Test the stored connections again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--preview", help="Count what the first sync would do; write nothing.")
    ] = False,
    switch_on: Annotated[
        bool, typer.Option("--switch-on", help="Unpause the DAGs of the sync in Airflow.")
    ] = False,
    json: Json = False,
) -> None:
    """Guide through the first set-up: each step, how it stands, and what comes next.

    Exit code 1 while a step has a fault. Secrets are asked for on a terminal only.
    """
    with reported(), _opened() as (place, store):
        if connect is not None:
            _connect(_ready(store), connect)
        if test:
            _test_all(_ready(store))
        if dry_run:
            _preview(_ready(store), quiet=json)
        there = _look(place, store)
        if switch_on:
            _switch_on(there)
            there = _look(place, store)
        made = steps(there)
        if json:
            upcoming = next_step(made)
            as_json({"steps": document(made), "next": upcoming.key if upcoming else None})
        else:
            _print(made)
        faulty = any(step.standing is StepStanding.FAULT for step in made)
    if faulty:
        raise typer.Exit(FAILED)


# --- what is there ------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened() -> Iterator[tuple[Place, Store | None]]:
    """How the state database stands, and the store where it is ready."""
    database = Database()
    try:
        place = place_of(database)
        yield place, Store(database, "") if place is Place.READY else None
    finally:
        database.close()


def _ready(store: Store | None) -> Store:
    if store is None:
        raise ConfigurationError(detail="there is no state database yet: run `calendar-sync init`")
    return store


def _look(place: Place, store: Store | None) -> There:
    return look(place, store, load_fields, _paused)


def _paused(dag_ids: list[str]) -> dict[str, bool | None]:
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.airflow_database import paused

        return paused(dag_ids)


def _print(made: list[Step]) -> None:
    said: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
    for number, step in enumerate(made, 1):
        standing = step.standing.value
        console.print(
            f"{number}. {step.title}: {standing}", style=STYLES.get(step.standing), **said
        )
        console.print(f"   {step.said}", **said)
        for fault in step.faults:
            _print_fault(fault)
    upcoming = next_step(made)
    if upcoming is None:
        if all(step.standing is StepStanding.DONE for step in made):
            console.print("Everything is set up.", style="green", **said)
        return
    console.print(f"\nNext: {upcoming.title}", style="bold", **said)
    console.print(f"   What you need: {upcoming.needs}", **said)
    console.print(f"   Who can do it: {upcoming.who}", **said)
    console.print(f"   Command: {COMMANDS[upcoming.key]}", **said)


def _print_fault(fault: Finding) -> None:
    whom = f"{fault.account}: " if fault.account else ""
    console.print(
        f"   {whom}{fault.advice} [{fault.code}] (who can fix it: {fault.whose})",
        style="red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


# --- the steps ----------------------------------------------------------------------------------


def _connect(store: Store, short: str) -> None:
    """Ask, try, store, and try what is stored.

    Raises:
        ConfigurationError: there is no terminal, or no such connection.
    """
    if short not in _SHORT:
        raise ConfigurationError(detail=f"--connect: one of {', '.join(sorted(_SHORT))}")
    if not _at_terminal():
        raise ConfigurationError(
            detail="connections are asked for on a terminal only; the admin pages take them, too"
        )
    form = FORMS[_SHORT[short]]
    typed = _asked(form)
    settings = store.config.revision().settings
    faults = [
        one
        for one in asyncio.run(try_typed(form.name, typed, "", settings, CLOCK))
        if one.code not in SPARED
    ]
    for fault in faults:
        _print_fault(fault)
    if faults and not typer.confirm("It does not work. Store it all the same?", default=False):
        raise ConfigurationError(detail="nothing was stored")
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.airflow_database import store_connection

        store_connection(typed.document)
    console.print(f"connection {form.name}: stored", markup=False, highlight=False)
    _test(store, form.name)


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _asked(form: Form) -> Typed:
    """What a person types; asked again until it is valid."""
    while True:
        values = {one.name: _ask(one) for one in form.inputs if not one.rare}
        if typer.confirm("Special networks (CA bundle, other addresses)?", default=False):
            values |= {one.name: _ask(one) for one in form.inputs if one.rare}
        try:
            return read_typed(form.name, values)
        except Mistaken as error:
            labels = {one.name: one.label for one in form.inputs}
            for name, said in error.mistakes.items():
                console.print(f"   {labels[name]} {said}", style="red", markup=False)


def _ask(one: Input) -> str:
    words = one.label if one.needed else f"{one.label} (empty for none)"
    if one.long:
        path = Path(typer.prompt(f"{words}: path of the file")).expanduser()
        return decode(read_file(path), str(path))
    if one.secret:
        return str(typer.prompt(words, hide_input=True))
    return str(typer.prompt(words, default=None if one.needed else "", show_default=False))


def _test_all(store: Store) -> None:
    for name in FORMS:
        with contextlib.suppress(Missing):
            load_fields(name)
            _test(store, name)


def _test(store: Store, name: str) -> None:
    """Try what is stored now, and remember the result. What is incomplete, the list says."""
    with contextlib.suppress(ConfigurationError):
        fields = load_fields(name)
        mark = fingerprint(fields, str(load_key()))
        note_test(store, name, mark, _tried(store, name, fields), CLOCK.now())


def _tried(store: Store, name: str, fields: Fields) -> list[Finding]:
    if name == WELKIN:
        ids = {user.user_id for user in store.config.mapping() if user.enabled}
        return asyncio.run(check_welkin(welkin_credentials(fields), CLOCK, ids))
    platform = next(each for each in Platform if CONNECTION_IDS[each] == name)
    some = mailboxes(store, platform)[:MAILBOXES]
    settings = store.config.revision().settings
    own = with_own_calendars(store, platform)
    return asyncio.run(check_platform(fields, platform, some, settings, CLOCK, own))


def _preview(store: Store, *, quiet: bool) -> None:
    secrets = load_secrets()
    revision, mapping = store.config.revision(), store.config.mapping_revision()

    async def plan(progress: Callable[[int, int], None]) -> None:
        limits = revision.settings.limits
        async with open_services(secrets, store.database, limits) as services:
            effects = await preview(
                services,
                revision.settings,
                "preview/setup",
                progress=lambda done, total, _: progress(done, total),
            )
        note_dry_run(store, effects, revision.id, mapping, CLOCK.now())

    with progress_bar("users", quiet=quiet) as bar:
        asyncio.run(
            plan(lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total))
        )


def _switch_on(there: There) -> None:
    wanted = dags_of(there.in_use)
    unknown = [name for name in wanted if there.paused.get(name) is None]
    if unknown or not there.in_use:
        raise ConfigurationError(
            detail=f"Airflow does not know {', '.join(unknown)}"
            if unknown
            else "no users are mapped, and no calendar system is connected"
        )
    with contextlib.redirect_stdout(sys.stderr):
        from calendar_sync.orchestration.airflow_database import switch_on

        switch_on(wanted)
