"""`calendar-sync config …`: settings, and settings and mapping of a folder."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import yaml

from calendar_sync.cli.environment import author, open_store
from calendar_sync.cli.mapping_files import (
    Compared,
    Remove,
    Replace,
    check,
    compare,
    find_mapping,
    mode_of,
    print_result,
    print_staying,
    read_file,
    refuse_new_samples,
    result_of,
    take,
)
from calendar_sync.cli.output import as_json, console, reported
from calendar_sync.config.differences import with_profiles
from calendar_sync.config.documents import decode, read_yaml
from calendar_sync.config.documents import read_file as read_bounded
from calendar_sync.config.mapping import read_mapping
from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state.mapping import refuse_unknown

SETTINGS = "settings.yaml"
REVISION = "revision"

config = typer.Typer(help="Manage the settings.", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Argument(
        help=f"Folder with {SETTINGS} and user_mapping.csv or user_mapping.yaml.",
        exists=True,
        file_okay=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@config.command("apply")
def apply(
    folder: Folder,
    based_on: Annotated[
        int | None,
        typer.Option(
            help="Fail if the settings were changed since this revision. The file may contain it, "
            "as `revision: N`; `config show` writes it."
        ),
    ] = None,
    replace: Replace = False,
    remove: Remove = None,
    json: Json = False,
) -> None:
    """Store the settings and the user mapping of a folder.

    Rows of the mapping that are not in the file stay, unless you give --replace.
    """
    with reported(), open_store() as store:
        # Both files are checked before anything is stored.
        settings, seen = read_settings(folder / SETTINGS)
        file = find_mapping(folder)
        users = read_file(file, store) if file else None
        mode, before = mode_of(replace, remove), store.config.revision().settings
        if users is not None:
            refuse_new_samples(store, users.users)
            check(store, users.users, users.based_on, mode, remove, settings)
        now = SystemClock().now()
        based_on = seen if based_on is None else based_on
        # Users keep a profile that goes until the mapping has given them another.
        between = settings if users is None else with_profiles(settings, before.profiles)
        revision, new = store.config.save_settings(between, author(), now, based_on=based_on)
        found, compared = None, Compared()
        if users is not None:
            # The previous settings apply: a folder must not lift its own limit.
            found = take(store, users.users, users.based_on, mode, remove, before)
            compared = compare(store, users.users)
        if between != settings:
            revision, new = store.config.save_settings(settings, author(), now, based_on=revision)
        result = {"settings_revision": revision, "settings_changed": new}
        if json:
            as_json(result | (result_of(found) if found is not None else {}) | compared.row)
            return
        console.print(f"settings: revision {revision}{'' if new else ' (unchanged)'}")
        if users is not None and found is not None:
            print_result(store, found)
            print_staying(store, users.users, mode)
        compared.tell()


@config.command("show")
def show(json: Json = False) -> None:
    """Print the current settings, defaults included."""
    with reported(), open_store() as store:
        revision = store.config.revision()
        document = revision.settings.model_dump(mode="json")
        if json:
            as_json({"revision": revision.id, "author": revision.author, "settings": document})
        else:
            console.print(f"# author: {revision.author or 'the defaults'}", markup=False)
            text = yaml.safe_dump({REVISION: revision.id, **document}, sort_keys=False)
            console.print(text, markup=False, highlight=False, soft_wrap=True, end="")


@config.command("validate")
def validate(folder: Folder, json: Json = False) -> None:
    """Check the files of a folder. Stores nothing."""
    with reported():
        settings, _ = read_settings(folder / SETTINGS)
        if file := find_mapping(folder):
            found = read_mapping(read_bounded(file), str(file), _AnyStaff())
            refuse_unknown(found.users, settings.profiles)
        as_json({"valid": True}) if json else console.print("valid")


class _AnyStaff(dict[str, str]):
    """Accepts every address, for a check without the state database."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> str:
        return key

    def get(self, key: str, default: object = None) -> str:
        return key


def read_settings(file: Path) -> tuple[Settings, int | None]:
    """The settings of a file, and the revision that they are based on if the file names it."""
    try:
        document = read_yaml(decode(read_bounded(file), str(file)), str(file))
    except FileNotFoundError:
        raise ConfigurationError(detail=f"{file} is missing") from None
    value, based_on = document.value, None
    if isinstance(value, dict) and REVISION in value:
        based_on = value.pop(REVISION)
        if not isinstance(based_on, int) or isinstance(based_on, bool):
            raise ConfigurationError(
                detail=f"{file.name}: {document.where((REVISION,))}: {REVISION} must be a number"
            )
    try:
        return parse(value, document.where, warn=partial(_warn, file)), based_on
    except ConfigurationError as error:
        mistakes = [f"{file}: {mistake}" for mistake in error.mistakes or [error.detail]]
        raise ConfigurationError(detail=error.detail, mistakes=mistakes) from None


def _warn(file: Path, message: str) -> None:
    typer.echo(f"warning: {file}: {message}", err=True)
