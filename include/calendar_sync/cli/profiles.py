"""`calendar-sync config profiles`: who has which profile, and what it changes."""

from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import open_store
from calendar_sync.cli.output import as_json, console, reported, table
from calendar_sync.config.differences import differences, in_words
from calendar_sync.core.plurals import plural
from calendar_sync.insight.profiles import alone, profiles


def show_profiles(
    one: Annotated[str, typer.Argument(help="Compare this profile …")] = "",
    other: Annotated[str, typer.Argument(help="… with this one. Default: without a profile.")] = "",
    json: Json = False,
) -> None:
    """List the profiles with their users and settings, or compare two."""
    with reported(), open_store() as store:
        settings = store.config.revision().settings
        if one:
            found = differences(alone(settings, other), alone(settings, one))
            if json:
                as_json({name: {"one": a, "other": b} for name, (b, a) in sorted(found.items())})
                return
            rows = [(name, in_words(a), in_words(b)) for name, (b, a) in sorted(found.items())]
            table("Profiles", ("setting", one, other or "without a profile"), rows)
            return
        listed = profiles(store, settings)
        if json:
            as_json([asdict(profile) for profile in listed])
        elif not listed:
            console.print("the settings have no profiles")
        for profile in [] if json else listed:
            console.print(f"{profile.name}: {plural(profile.users, 'user')}", markup=False)
            for setting in profile.settings:
                said = f"  {setting.name}: {setting.own_words} (for others: {setting.usual_words})"
                console.print(said, markup=False, highlight=False, soft_wrap=True)
