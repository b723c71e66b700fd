"""`calendar-sync mapping …`: which Welkin user belongs to which account."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from calendar_sync.cli import mapping_edits as edits
from calendar_sync.cli.audit import show_exposure
from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.mapping_files import (
    Remove,
    Replace,
    compare,
    look,
    mode_of,
    preview_of,
    print_preview,
    print_result,
    print_staying,
    read_file,
    refuse_new_samples,
    result_of,
    take,
)
from calendar_sync.cli.mapping_propose import propose
from calendar_sync.cli.mapping_rules import rules
from calendar_sync.cli.output import FAILED, as_json, console, errors, renamed, reported, table
from calendar_sync.config.mapping import Format, format_of, write_mapping
from calendar_sync.config.mapping.doubts import SHARED, Doubt, doubts
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.state import Store
from calendar_sync.sync.runtime import open_services

mapping = typer.Typer(help="Which Welkin user belongs to which account.", no_args_is_help=True)
mapping.command("set")(edits.set_row)
mapping.command()(edits.remove)
mapping.command()(edits.disable)
mapping.command()(edits.enable)
mapping.command()(edits.history)
mapping.command()(edits.rollback)
mapping.command()(propose)
mapping.command()(rules)
mapping.command("exposure", hidden=True)(
    renamed(show_exposure, "mapping exposure", "audit exposure")
)


@mapping.command("import")
def import_mapping(
    file: Annotated[Path, typer.Argument(help="CSV or YAML file.", exists=True, dir_okay=False)],
    based_on: Annotated[
        int | None,
        typer.Option(
            help="Fail if the mapping was changed since this revision. A YAML file may contain it, "
            "as `revision: N`; `mapping export` writes it."
        ),
    ] = None,
    replace: Replace = False,
    remove: Remove = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change. Stores nothing.")
    ] = False,
    check_directory: Annotated[
        bool,
        typer.Option(
            "--check-directory",
            help="Ask the directories, too: refuse two users on one account under two names.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Add and change what the file says; a file with a mistake changes nothing.

    Rows that are not in the file stay, unless --replace is said.
    """
    with reported(), open_store() as store:
        found = read_file(file, store)
        seen = found.based_on if based_on is None else based_on
        refuse_new_samples(store, found.users)
        if check_directory:
            _refuse_shared(asyncio.run(_doubts(store, found.users)))
        mode = mode_of(replace, remove)
        if dry_run:
            difference = look(store, found.users, seen, mode)
            document = preview_of(difference)
            None if json else print_preview(store, difference)
        else:
            difference = take(store, found.users, seen, mode, remove)
            document = result_of(difference)
            None if json else print_result(store, difference)
        compared = compare(store, found.users)
        if json:
            as_json(document | compared.row)
        else:
            print_staying(store, found.users, mode)
            compared.tell()


@mapping.command("export")
def export_mapping(
    file: Annotated[
        Path | None, typer.Argument(help="CSV or YAML file. Default: standard output.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Format of the output. Default: by the file name."),
    ] = None,
) -> None:
    """Write the mapping as a file."""
    with reported(), open_store() as store:
        form = form or format_of(file.name if file else "")
        if file and format_of(file.name) is not form:
            raise ConfigurationError(
                detail=f"{file.name} would be read as {format_of(file.name).value}, "
                f"not as {form.value}"
            )
        # Revision first: if rows change in between, an import of the file is refused.
        revision = store.config.mapping_revision()
        emails = {user.id: user.email for user in store.config.welkin_users()}
        text = write_mapping(store.config.mapping(), form, emails=emails, revision=revision)
        if file is None:
            print(text, end="")
        else:
            file.write_text(text, encoding="utf-8")


@mapping.command("check")
def check_mapping(json: Json = False) -> None:
    """Check the mapping against the directories. Exit 1: something is wrong."""
    with reported(), open_store() as store:
        found = asyncio.run(_doubts(store, store.config.mapping()))
        if json:
            as_json([asdict(each) for each in found])
        elif found:
            _print_doubts(found)
        else:
            console.print("the mapping is OK")
    if found:
        raise typer.Exit(FAILED)


async def _doubts(store: Store, rows: Sequence[MappedUser]) -> list[Doubt]:
    """What the directories contradict. Directories that cannot be read are named on stderr."""
    limits = store.config.revision().settings.limits
    found: list[Doubt] = []
    async with open_services(load_secrets(), store.database, limits) as services:
        for platform in Platform:
            if not any(row.platform is platform for row in rows):
                continue
            directory = services.directories.get(platform)
            if directory is None:
                raise services.why_not(platform)
            accounts = await directory.accounts()
            if accounts is None:
                errors.print(
                    f"{platform.value}: not checked, the connection has no directory_admin "
                    "(docs/setup-google.md)",
                    style="yellow",
                    soft_wrap=True,
                )
            else:
                found += doubts(rows, platform, accounts)
    return found


def _refuse_shared(found: Sequence[Doubt]) -> None:
    """Refuse one account for two users; only warn about accounts that do not work.

    Raises:
        ConfigurationError: names the accounts and users.
    """
    shared = [
        f"{each.account} ({each.platform}) of {each.user_id}: {each.advice}"
        for each in found
        if each.code == SHARED
    ]
    if shared:
        raise ConfigurationError(detail=f"mapping: {'; '.join(shared)}")
    for each in found:
        errors.print(
            f"{each.platform} {each.account} of {each.user_id}: {each.code}; {each.advice}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _print_doubts(found: Sequence[Doubt]) -> None:
    rows = [(d.account, d.platform.value, d.user_id, d.code, d.advice) for d in found]
    table("Mapping", ("account", "platform", "user", "code", "what to do"), rows)
