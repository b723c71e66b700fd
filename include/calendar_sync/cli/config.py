"""`calendar-sync config …` and `calendar-sync mapping …`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import yaml

from calendar_sync.cli.environment import author, load_secrets, open_store
from calendar_sync.cli.output import as_json, console, reported, table
from calendar_sync.clock import SystemClock
from calendar_sync.documents import read_yaml
from calendar_sync.errors import ConfigurationError
from calendar_sync.mapping import read_csv, write_csv
from calendar_sync.model import MappedUser
from calendar_sync.reporting import exposure
from calendar_sync.runtime import open_services
from calendar_sync.settings import Settings, parse
from calendar_sync.state import Store

SETTINGS = "settings.yaml"
REVISION = "revision"
MAPPING = "user_mapping.csv"

config = typer.Typer(help="Settings of the organisation.", no_args_is_help=True)
mapping = typer.Typer(help="Which Welkin user belongs to which account.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help=f"Folder with {SETTINGS} and {MAPPING}.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@config.command("apply")
def apply(
    folder: Folder,
    based_on: Annotated[
        int | None,
        typer.Option(
            help="Refuse when the settings have changed since this revision. The file may say so "
            "itself, as `revision: N`: `config show` writes it."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Store the settings and the user mapping of a folder, each as a new revision."""
    with reported(), open_store() as store:
        settings, seen, users = _read(folder, store)
        now = SystemClock().now()
        based_on = seen if based_on is None else based_on
        revision, new = store.config.save_settings(settings, author(), now, based_on=based_on)
        result = {"settings_revision": revision, "settings_changed": new}
        if users is not None:
            result |= _replace(store, users)
        if json:
            as_json(result)
        else:
            console.print(f"settings: revision {revision}{'' if new else ' (unchanged)'}")
            if users is not None:
                _print_difference(result)


@config.command("show")
def show(json: Json = False) -> None:
    """Print the settings in force, defaults included."""
    with reported(), open_store() as store:
        revision = store.config.revision()
        document = revision.settings.model_dump(mode="json")
        if json:
            as_json({"revision": revision.id, "author": revision.author, "settings": document})
        else:
            console.print(f"# by {revision.author or 'nobody: the defaults'}", markup=False)
            text = yaml.safe_dump({REVISION: revision.id, **document}, sort_keys=False)
            console.print(text, markup=False, highlight=False, soft_wrap=True, end="")


@config.command("validate")
def validate(folder: Folder) -> None:
    """Check a folder without storing anything."""
    with reported():
        read_settings(folder / SETTINGS)
        users = folder / MAPPING
        if users.exists():
            read_csv(users.read_text(encoding="utf-8"), _AnyStaff())
        console.print("valid")


@mapping.command("import")
def import_mapping(
    file: Annotated[Path, typer.Argument(help="CSV file.", exists=True, dir_okay=False)],
    json: Json = False,
) -> None:
    """Make the mapping exactly what the file says; a file with a mistake changes nothing."""
    with reported(), open_store() as store:
        result = _replace(store, _read_mapping(file, store))
        if json:
            as_json(result)
        else:
            _print_difference(result)


@mapping.command("export")
def export_mapping(
    file: Annotated[Path | None, typer.Argument(help="CSV file; standard output without.")] = None,
) -> None:
    """Write the mapping as CSV."""
    with reported(), open_store() as store:
        emails = {user.id: user.email for user in store.config.welkin_users()}
        text = write_csv(store.config.mapping(), emails)
        if file is None:
            print(text, end="")
        else:
            file.write_text(text, encoding="utf-8")


@mapping.command("exposure")
def show_exposure(
    account: Annotated[str, typer.Option(help="The mailbox.")], json: Json = False
) -> None:
    """Which appointments were in a mailbox, to what detail, and when: by their opaque ids."""
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
        table(f"Mirrors in {account}", columns, rows)
        console.print(f"{len(found)} appointments, times in UTC")


class _AnyStaff(dict[str, str]):
    """For a check without the state database: every address might be one of Welkin's."""

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: object = None) -> str:
        return key


def _staff(store: Store) -> dict[str, str]:
    return {user.email: user.id for user in store.config.welkin_users()}


def _read(folder: Path, store: Store) -> tuple[Settings, int | None, list[MappedUser] | None]:
    """Both files are read before anything is stored."""
    settings, based_on = read_settings(folder / SETTINGS)
    file = folder / MAPPING
    if not file.exists():
        return settings, based_on, None
    return settings, based_on, _read_mapping(file, store)


def read_settings(file: Path) -> tuple[Settings, int | None]:
    """The settings, and the revision that they were made from where the file names it."""
    try:
        document = read_yaml(file.read_text(encoding="utf-8"), file.name)
    except FileNotFoundError:
        raise ConfigurationError(detail=f"{file.name} is missing") from None
    except UnicodeDecodeError:
        raise ConfigurationError(detail=f"{file.name}: the text is not UTF-8") from None
    value, based_on = document.value, None
    if isinstance(value, dict) and REVISION in value:
        based_on = value.pop(REVISION)
        if not isinstance(based_on, int) or isinstance(based_on, bool):
            raise ConfigurationError(
                detail=f"{file.name}: {document.where((REVISION,))}: {REVISION} is a number"
            )
    return parse(value, document.where), based_on


def _read_mapping(file: Path, store: Store) -> list[MappedUser]:
    """Before the first sync nobody's address is known: Welkin is asked, if the file needs it."""
    text = file.read_text(encoding="utf-8")
    try:
        return read_csv(text, _staff(store))
    except ConfigurationError as error:
        if ", email: " not in error.detail or store.config.welkin_users_seen_at() is not None:
            raise
    asyncio.run(_ask_for_staff(store))
    return read_csv(text, _staff(store))


async def _ask_for_staff(store: Store) -> None:
    limits = store.config.revision().settings.limits
    async with open_services(load_secrets(), store.database, limits) as services:
        store.config.save_welkin_users(await services.welkin.users(), services.clock.now())


def _replace(store: Store, users: list[MappedUser]) -> dict[str, int]:
    difference = store.config.replace_mapping(users, author(), SystemClock().now())
    return {
        "users_added": len(difference.added),
        "users_changed": len(difference.changed),
        "users_removed": len(difference.removed),
    }


def _print_difference(result: dict[str, int]) -> None:
    console.print(
        f"mapping: {result['users_added']} added, {result['users_changed']} changed, "
        f"{result['users_removed']} removed"
    )
