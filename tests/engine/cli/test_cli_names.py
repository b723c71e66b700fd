"""Wherever a user is named, an e-mail address does as well as an id."""

from datetime import UTC, datetime

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.orchestration.tasks import unsync
from calendar_sync.state import Database, Store
from calendar_sync.sync.roster import user_named
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli


def boxes(cli: Command) -> str:
    """Dana's mailbox has another name than Dana in Welkin; returns Dana's id."""
    cli.sandbox.google.add_account("d.hale@example.org")
    cli.map_everybody()
    [dana] = [u.id for u in cli.sandbox.welkin.users.values() if u.email.startswith("dana")]
    cli("mapping", "set", "--user", dana, "--platform", "google", "--account", "d.hale@example.org")
    # Welkin's list is read by the first pass.
    cli("sync")
    return dana


@pytest.mark.parametrize("name", ["d.hale@example.org", "D.Hale@Example.org", "Dana@example.org"])
def test_an_address_names_a_user_in_every_command(cli: Command, name: str) -> None:
    dana = boxes(cli)
    cli.visit("dana")
    cli.visit("ruben")
    cli("sync", "--user", name)
    assert len(cli.sandbox.google.mirrors_of("d.hale@example.org")) == 1
    assert cli.sandbox.google.mirrors_of("ruben@example.org") == []
    cli("sync", "--user", name, "--platform", "google", "--dry-run")
    assert cli.json("explain", "--user", name)["id"] == dana
    assert "Dana" not in cli("mapping", "history", "--user", name)
    assert dana in cli("mapping", "history", "--user", name, "--json")
    question = unsync.ask([name], everybody=False, platform="both")
    assert "d.hale@example.org" in question["body"]
    [row] = cli.json("unsync", "--user", name, "--yes")
    assert (row["user_id"], row["clean"]) == (dana, True)
    assert cli.sandbox.google.mirrors_of("d.hale@example.org") == []


def test_the_self_test_takes_an_address_of_welkin(cli: Command) -> None:
    boxes(cli)
    report = cli.json("selftest", "--user", "DANA@example.org", "--platform", "google")
    assert report["account"] == "d.hale@example.org"


def test_an_unknown_address_is_named(cli: Command) -> None:
    boxes(cli)
    for words in (("sync",), ("unsync", "--yes"), ("selftest",)):
        assert "no.one@example.org" in cli(*words, "--user", "no.one@example.org", code=1)


def test_an_address_of_several_users_asks_for_the_id(cli: Command) -> None:
    boxes(cli)
    database = Database()
    store = Store(database, "")
    rows = [
        MappedUser("u-1", Platform.GOOGLE, "shared@example.org"),
        MappedUser("u-2", Platform.MICROSOFT, "shared@example.org"),
    ]
    store.config.edit_mapping(lambda before: [*before, *rows], "tests", datetime.now(UTC))
    with pytest.raises(ConfigurationError, match="several users"):
        user_named(store, "shared@example.org")
    assert user_named(store, "shared@example.org", Platform.MICROSOFT) == "u-2"
    database.close()
    assert "several users" in cli("unsync", "--yes", "--user", "shared@example.org", code=1)
