"""`calendar-sync mapping …` as an administrator uses it, and the mapping in `config apply`."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from calendar_sync.cli.app import app
from calendar_sync.cli.output import console
from calendar_sync.config.mapping import COLUMNS
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """Tables break no line."""
    before, console.width = console.width, 250
    yield
    console.width = before


HEADER = "welkin_user_id,platform,account\n"
SETTINGS = "time_zone: US/Eastern\n"


def ids(cli: Command) -> dict[str, str]:
    return {u.email.lower().split("@")[0]: u.id for u in cli.sandbox.welkin.users.values()}


def rows(cli: Command) -> list[str]:
    """The stored mapping, without its header."""
    return cli("mapping", "export").splitlines()[1:]


def row(user_id: str, account: str, platform: str = "google", rest: str = "true,") -> str:
    """As exported; columns that are left out of `rest` are empty."""
    values = [user_id, "", platform, account, *rest.split(",")]
    return ",".join([*values, *[""] * (len(COLUMNS) - len(values))])


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.yaml", "m.yml", "m.csv"])
def test_a_mapping_is_exported_edited_and_imported_again(cli: Command, name: str) -> None:
    cli.map_everybody()
    file = cli.folder / name
    cli("mapping", "export", file)
    file.write_text(file.read_text().replace("ruben@", "ruben.new@"))
    output = cli("mapping", "import", file)
    assert "revision 2, 0 added, 1 changed, 0 removed" in output
    assert row(ids(cli)["ruben"], "ruben.new@example.org") in rows(cli)


def test_yaml_on_standard_output_is_what_its_file_would_hold(cli: Command) -> None:
    cli.map_everybody()
    cli("mapping", "export", cli.folder / "m.yaml")
    text = cli("mapping", "export", "--format", "yaml")
    assert text == (cli.folder / "m.yaml").read_text()
    assert text.startswith("revision: 1\nusers:\n- welkin_user_id: ")
    assert "would be read as csv" in cli(
        "mapping", "export", cli.folder / "x.csv", "--format", "yaml", code=1
    )
    assert not (cli.folder / "x.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.csv", b"welkin_user_id;platform;account\nu1;google;a@b.example\n", "semicolons"),
        ("m.csv", (HEADER + "u1,google,a@b.example\n").encode("utf-16"), "UTF-16"),
        ("m.csv", (HEADER + "ü1,google,a@b.example\n").encode("latin-1"), "line 2, column 1"),
        ("m.csv", (HEADER + 'u1,google,"a@b.example\n').encode(), "line 2, column 11"),
        ("m.yaml", b"- welkin_user_id: u1\n  platform: [google", "line 2, column"),
        ("m.yaml", b"users:\n- {welkin_user_id: u1, platform: yahoo}", "line 2, column 24"),
    ],
)  # fmt: skip
def test_a_broken_file_says_where_and_changes_nothing(
    cli: Command, name: str, content: bytes, words: str
) -> None:
    cli.map_everybody()
    before = rows(cli)
    (cli.folder / name).write_bytes(content)
    output = cli("mapping", "import", cli.folder / name, code=1)
    assert f"{name}: " in output
    assert words in output
    assert rows(cli) == before
    assert cli.json("mapping", "history", "--newest", "1")[0]["revision"] == 1


def test_a_dry_run_shows_the_rows_and_stores_nothing(cli: Command) -> None:
    cli.map_everybody()
    before, user = rows(cli), ids(cli)
    file = cli.write(
        "m.csv", f"{HEADER}{user['dana']},google,dana.new@example.org\nu9,microsoft,x@b.example\n"
    )
    output = cli("mapping", "import", file, "--replace", "--dry-run")
    assert "1 added, 1 changed, 1 removed; nothing was stored" in output
    assert (
        "mirrors and blocks would be deleted by the next runs (setting on_unmapped: remove)"
        in output
    )
    for word in ("dana.new@example.org", "dana@example.org", "u9", "ruben@example.org"):
        assert word in output
    document = cli.json("mapping", "import", file, "--replace", "--dry-run")
    assert document["stored"] is False
    assert [entry["welkin_user_id"] for entry in document["removed"]] == [user["ruben"]]
    [changed] = document["changed"]
    assert changed["before"]["account"] == "dana@example.org"
    assert changed["after"]["account"] == "dana.new@example.org"
    assert rows(cli) == before
    many = "".join(f"u{n},google,u{n}@b.example\n" for n in range(200))
    output = cli(
        "mapping", "import", cli.write("many.csv", HEADER + many), "--replace", "--dry-run"
    )
    assert "and 152 more" in output


def test_an_import_says_what_becomes_of_who_is_removed(cli: Command) -> None:
    cli.map_everybody()
    nobody = cli.write("nobody.csv", HEADER)
    cli.write("settings.yaml", "on_unmapped: keep\n")
    cli("config", "apply", cli.folder)
    kept = "kept (setting on_unmapped: keep)"
    user = ids(cli)
    assert f"1 user no longer synced: their mirrors and blocks are {kept}" in cli(
        "mapping", "disable", "--user", user["dana"]
    )
    assert kept not in cli("mapping", "remove", "--user", user["dana"]), "told already"
    assert kept in cli("mapping", "import", nobody, "--replace")
    assert kept not in cli("mapping", "import", nobody, "--replace")


def many(cli: Command, count: int = 24) -> str:
    """So many users are mapped; the file that says so."""
    text = HEADER + "".join(f"u{n:02},google,u{n:02}@example.org\n" for n in range(count))
    cli("mapping", "import", cli.write("many.csv", text))
    return text


def test_a_file_that_lost_its_rows_removes_no_users(cli: Command) -> None:
    many(cli)
    before = rows(cli)
    output = cli("mapping", "import", cli.write("empty.csv", HEADER))
    assert "0 added, 0 changed, 0 removed" in output
    assert "24 rows are not in the file and stay" in output
    assert rows(cli) == before
    one = cli.write("one.csv", HEADER + "u00,google,new@example.org\nu99,google,99@example.org\n")
    assert "1 added, 1 changed, 0 removed" in cli("mapping", "import", one)
    assert row("u00", "new@example.org") in rows(cli)
    assert len(rows(cli)) == 25


def test_many_removals_need_their_number(cli: Command) -> None:
    many(cli)
    before = rows(cli)
    two = cli.write("two.csv", HEADER + "u00,google,u00@example.org\nu01,google,u01@example.org\n")
    for words in (["--replace"], ["--remove", "21"], ["--remove", "0"]):
        output = cli("mapping", "import", two, *words, code=1)
        assert "removals_not_confirmed" in output
        assert "22 of 24 rows" in output
    assert "--remove 22" in cli("mapping", "import", two, "--replace", code=1)
    assert "--remove 22" in cli("mapping", "import", two, "--replace", "--dry-run")
    assert rows(cli) == before
    assert "22 removed" in cli("mapping", "import", two, "--remove", "22")
    assert len(rows(cli)) == 2
    # Two are not many, but they are all.
    empty = cli.write("empty.csv", HEADER)
    assert "2 of 2 rows" in cli("mapping", "import", empty, "--replace", code=1)
    assert "2 removed" in cli("mapping", "import", empty, "--remove", "2")


def test_many_who_are_disabled_by_a_file_need_their_number_too(cli: Command) -> None:
    text = many(cli)
    off = cli.write(
        "off.csv", text.replace("account", "account,enabled").replace(".org", ".org,no")
    )
    assert "24 of 24 rows" in cli("mapping", "import", off, code=1)
    assert "--remove 24" in cli("mapping", "import", off, "--dry-run")
    assert "24 users no longer synced" in cli("mapping", "import", off, "--remove", "24")


def test_few_removals_go_without_a_number(cli: Command) -> None:
    text = many(cli)
    cli.write("most.csv", "\n".join(text.splitlines()[:-3]) + "\n")
    assert "3 removed" in cli("mapping", "import", cli.folder / "most.csv", "--replace")


def test_a_folder_removes_no_users_unasked_and_cannot_lift_its_own_limit(cli: Command) -> None:
    many(cli)
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text("deletion_guard: {max_share: 1}\n")
    (folder / "user_mapping.csv").write_text(HEADER)
    assert "24 of 24 rows" in cli("config", "apply", folder, "--replace", code=1)
    assert cli.json("config", "show")["revision"] == 0, "the settings were not stored either"
    assert "24 rows are not in the file" in cli("config", "apply", folder)
    assert len(rows(cli)) == 24
    assert "24 removed" in cli("config", "apply", folder, "--remove", "24")
    assert rows(cli) == []


def test_the_mapping_is_rolled_back_as_the_settings_are(cli: Command) -> None:
    many(cli)
    before = rows(cli)
    cli("mapping", "import", cli.write("empty.csv", HEADER), "--remove", "24")
    assert "24 added" in cli("mapping", "rollback", "1", "--dry-run")
    assert rows(cli) == []
    assert "revision 3, 24 added, 0 changed, 0 removed" in cli("mapping", "rollback", "1")
    assert rows(cli) == before
    cli("mapping", "set", "--user", "u03", "--platform", "google", "--account", "x@example.org")
    cli("mapping", "remove", "--user", "u04")
    assert cli.json("mapping", "rollback", "3") == {
        "mapping_revision": 6, "users_added": 1, "users_changed": 1, "users_removed": 0,
    }  # fmt: skip
    assert rows(cli) == before
    assert "unchanged" in cli("mapping", "rollback", "6")
    # Going back removes people, too.
    assert "24 of 24 rows" in cli("mapping", "rollback", "2", code=1)
    assert "24 removed" in cli("mapping", "rollback", "2", "--remove", "24")
    assert "no revision 99" in cli("mapping", "rollback", "99", code=1)


def test_the_second_of_two_administrators_is_warned(cli: Command) -> None:
    cli.map_everybody()
    file = cli.folder / "m.yaml"
    cli("mapping", "export", file)
    cli("mapping", "disable", "--user", ids(cli)["dana"])
    before = rows(cli)
    file.write_text(file.read_text().replace("ruben@", "ruben.new@"))
    for words in ([file], [file, "--dry-run"], [file, "--based-on", "1"]):
        output = cli("mapping", "import", *words, code=1)
        assert "changed_meanwhile" in output
        assert "revision 2 is by cli" in output
    assert "no revision 9" in cli("mapping", "import", file, "--based-on", "9", code=1)
    assert rows(cli) == before
    cli("mapping", "import", file, "--based-on", "2")
    assert "ruben.new@example.org" in cli("mapping", "export")


# --- a folder -----------------------------------------------------------------------------------


def test_a_folder_may_hold_the_mapping_as_yaml_but_not_twice(cli: Command) -> None:
    folder = cli.folder / "config"
    folder.mkdir()
    (folder / "settings.yaml").write_text(SETTINGS)
    one = "- {welkin_user_id: u1, platform: google, account: a@b.example}\n"
    (folder / "user_mapping.yaml").write_text(one)
    assert "valid" in cli("config", "validate", folder)
    assert cli.json("config", "apply", folder)["users_added"] == 1
    (folder / "user_mapping.csv").write_text(HEADER)
    (folder / "settings.yaml").write_text("time_zone: UTC\n")
    for command in ("validate", "apply"):
        output = cli("config", command, folder, code=1)
        assert "found user_mapping.csv and user_mapping.yaml" in output
    (folder / "user_mapping.csv").unlink()
    (folder / "user_mapping.yaml").write_text(one + one)
    for command in ("validate", "apply"):
        assert "line 2, column" in cli("config", command, folder, code=1)
    assert cli.json("config", "show")["revision"] == 1
    assert rows(cli) == [row("u1", "a@b.example")]


def test_a_folder_with_an_old_mapping_changes_no_setting_either(cli: Command) -> None:
    folder = cli.folder / "config"
    folder.mkdir()
    cli.map_everybody()
    settings = cli.json("config", "show")["revision"]
    cli("mapping", "disable", "--user", ids(cli)["dana"])
    (folder / "settings.yaml").write_text(SETTINGS)
    (folder / "user_mapping.yaml").write_text("revision: 1\nusers: []\n")
    assert "changed_meanwhile" in cli("config", "apply", folder, code=1)
    assert cli.json("config", "show")["revision"] == settings
    assert len(rows(cli)) == 2


# --- one row at a time --------------------------------------------------------------------------


def test_a_row_is_set_changed_and_removed(cli: Command) -> None:
    user = ids(cli)
    dana = ["--user", user["dana"], "--platform", "google"]
    output = cli("mapping", "set", *dana, "--account", "Dana@Example.org")
    assert "revision 1, 1 added" in output
    cli("mapping", "set", *dana, "--direction", "welkin_to_calendar")
    assert rows(cli) == [row(user["dana"], "dana@example.org", rest="true,welkin_to_calendar")]
    cli("mapping", "set", *dana, "--disabled", "--account", "d@example.org")
    assert rows(cli) == [row(user["dana"], "d@example.org", rest="false,welkin_to_calendar")]
    cli("mapping", "set", *dana, "--enabled", "--usual-direction")
    assert rows(cli) == [row(user["dana"], "d@example.org")]
    assert "revision 4 (unchanged)" in cli("mapping", "set", *dana, "--enabled")
    cli("mapping", "set", "--user", user["dana"], "--platform", "microsoft", "--account", "d@x.org")
    assert cli.json("mapping", "remove", *dana) == {
        "mapping_revision": 6, "users_added": 0, "users_changed": 0, "users_removed": 1,
    }  # fmt: skip
    cli("mapping", "remove", "--user", user["dana"])
    assert rows(cli) == []
    assert [entry["revision"] for entry in cli.json("mapping", "history")] == [7, 6, 5, 4, 3, 2, 1]


def test_a_user_is_disabled_and_enabled_everywhere_or_on_one_platform(cli: Command) -> None:
    cli.sandbox.microsoft.add_account("dana@example.org")
    cli.map_everybody()
    # By the address, on an installation that has never asked Welkin for its staff.
    cli("mapping", "disable", "--user", "DANA@example.org")

    def enabled() -> list[tuple[str, str]]:
        every = [line.split(",") for line in rows(cli)]
        return [(line[2], line[3]) for line in every if line[4] == "true"]

    assert enabled() == [("google", "ruben@example.org")]
    cli("mapping", "enable", "--user", ids(cli)["dana"], "--platform", "microsoft")
    assert enabled() == [("microsoft", "dana@example.org"), ("google", "ruben@example.org")]
    cli("sync")
    assert "google: 1 ok, 1 disabled" in cli("status")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["set", "--user", "u9", "--platform", "google"], "--account is needed"),
        (["set", "--user", "u9", "--platform", "google", "--account", "x"],
         "not an e-mail address"),
        (["set", "--user", "u9", "--platform", "google", "--account", "DANA@example.org"],
         "one account belongs to one user"),
        (["set", "--user", "no@example.org", "--platform", "google", "--account", "a@b.example"],
         "no Welkin user"),
        (["set", "--user", "u9", "--platform", "google", "--account", "a@b.example",
          "--direction", "bidirectional", "--usual-direction"], "give only one of"),
        (["remove", "--user", "u9"], "u9 is not mapped"),
        (["disable", "--user", "u9", "--platform", "google"], "u9 is not mapped on google"),
    ],
)  # fmt: skip
def test_a_wrong_edit_is_refused(cli: Command, words: list[str], answer: str) -> None:
    cli.map_everybody()
    assert answer in cli("mapping", *words, code=1)
    assert sorted(line.split(",")[3] for line in rows(cli)) == [
        "dana@example.org", "ruben@example.org",
    ]  # fmt: skip
    assert {entry["revision"] for entry in cli.json("mapping", "history")} == {1}


def test_the_history_tells_who_changed_what(cli: Command) -> None:
    assert "no changes" in cli("mapping", "history")
    cli.map_everybody()
    user = ids(cli)
    cli("mapping", "disable", "--user", user["dana"])
    newest = cli.json("mapping", "history", "--user", user["dana"], "--newest", "1")[0]
    assert newest["author"].startswith("cli")
    assert (newest["before"]["enabled"], newest["after"]["enabled"]) == (True, False)
    shown = cli("mapping", "history", "--account", "dana@example.org")
    assert "dana@example.org, disabled" in shown
    assert "ruben" not in shown
    by_address = cli.json("mapping", "history", "--user", "ruben@example.org")
    assert [entry["welkin_user_id"] for entry in by_address] == [user["ruben"]]


# --- beside the directories ---------------------------------------------------------------------


def administrator(monkeypatch: pytest.MonkeyPatch, directory_admin: str = "") -> None:
    """Whom the connection names, if anybody."""
    name = "AIRFLOW_CONN_GOOGLE_CALENDAR_DEFAULT"
    values = json.loads(os.environ[name])
    values["extra"] = {**values["extra"], "directory_admin": directory_admin}
    monkeypatch.setenv(name, json.dumps(values))


@pytest.fixture
def boss(cli: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """With an administrator whom the connection names."""
    cli.sandbox.google.add_account("boss@example.org").admin = True
    administrator(monkeypatch, directory_admin="boss@example.org")
    cli.sandbox.welkin.rate_limit = None
    return cli


def proposals(cli: Command, *words: object) -> dict[tuple[str, str], str]:
    """Account or reason by user's name and platform."""
    names = {user_id: name for name, user_id in ids(cli).items()}
    result = cli.runner.invoke(app, ["mapping", "propose", "--json", *map(str, words)])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return {
        (names[entry["welkin_user_id"]], entry["platform"]): entry.get("reason") or entry["account"]
        for entry in document["proposed"] + document["not_proposed"]
    }


def test_who_has_an_account_is_proposed_reviewed_and_imported(boss: Command) -> None:
    boss.sandbox.welkin.add_user("Mira+welkin@Example.org", "Mira")
    boss.sandbox.welkin.add_user("left@example.org", "Left").state = "INACTIVE"
    for name in ("mira", "left"):
        boss.sandbox.microsoft.add_account(f"{name}@example.org")
    boss.sandbox.google.account("ruben@example.org").aliases = ["r@example.org"]
    boss("mapping", "set", "--user", ids(boss)["dana"], "--platform", "google",
         "--account", "dana@example.org", "--disabled")  # fmt: skip
    assert proposals(boss) == {
        ("ruben", "google"): "ruben@example.org",
        ("mira+welkin", "google"): "no such account",
        ("dana", "microsoft"): "no such account",
        ("ruben", "microsoft"): "no such account",
        ("mira+welkin", "microsoft"): "mira@example.org",
    }
    before = rows(boss)
    file = boss.folder / "proposed.yaml"
    output = boss("mapping", "propose", "--out", file)
    assert "2 proposed, 0 not; 3 have an account on the other calendar system only" in output
    assert rows(boss) == before, "nothing is applied"
    assert "revision 2, 2 added, 0 changed, 0 removed" in boss("mapping", "import", file)
    assert sorted(line.split(",", 1)[1] for line in rows(boss)) == [
        "dana@example.org,google,dana@example.org,false,,,,",
        "mira+welkin@example.org,microsoft,mira@example.org,true,,,,",
        "ruben@example.org,google,ruben@example.org,true,,,,",
    ]
    assert proposals(boss, "--platform", "google") == {("mira+welkin", "google"): "no such account"}


def test_what_is_doubtful_is_not_proposed(boss: Command) -> None:
    welkin, google = boss.sandbox.welkin, boss.sandbox.google
    welkin.add_user("dana+two@example.org", "Dana")
    welkin.add_user("away@example.org", "Away")
    google.add_account("away@example.org")
    google.suspend("away@example.org")
    boss("mapping", "set", "--user", "u9", "--platform", "google", "--account", "ruben@example.org")
    found = proposals(boss, "--platform", "google")
    assert found[("away", "google")] == "suspended"
    assert found[("ruben", "google")] == "already mapped to u9"
    assert found[("dana", "google")].startswith("ambiguous")
    assert found[("dana+two", "google")].startswith("ambiguous")
    file = boss.folder / "p.csv"
    output = boss("mapping", "propose", "--platform", "google", "--out", file)
    assert "0 proposed" in output
    for word in ("suspended", "mapped to u9", "ambiguous"):
        assert word in output
    assert len(file.read_text().splitlines()) == 2
    assert boss.sandbox.requests.writes() == []


@pytest.mark.parametrize("admin", ["", "dana@example.org"], ids=["none", "no administrator"])
def test_without_a_directory_addresses_are_tried_one_by_one(
    cli: Command, monkeypatch: pytest.MonkeyPatch, admin: str
) -> None:
    administrator(monkeypatch, directory_admin=admin)
    cli.sandbox.google.suspend("ruben@example.org")
    assert proposals(cli, "--platform", "google") == {
        ("dana", "google"): "dana@example.org",
        ("ruben", "google"): "unknown or suspended",
    }
    output = cli("mapping", "propose", "--platform", "google")
    assert ("not an administrator" in output) == bool(admin)
    assert cli.sandbox.requests.writes() == []


def test_one_mailbox_under_two_names_is_refused_when_the_directory_is_asked(cli: Command) -> None:
    mailbox = cli.sandbox.microsoft.add_account("dana@example.org")
    user = ids(cli)
    file = cli.write(
        "m.csv",
        f"{HEADER}{user['dana']},microsoft,dana@example.org\n"
        f"{user['ruben']},microsoft,{mailbox.guid}\n",
    )
    output = cli("mapping", "import", file, "--check-directory", code=1)
    for word in (str(mailbox.guid), "dana@example.org", user["dana"], user["ruben"]):
        assert word in output
    assert rows(cli) == []
    # Without asking, the file alone cannot show it; the check finds it.
    cli("mapping", "import", file)
    [found] = cli.json("mapping", "check", code=1)
    assert found["code"] == "shared"
    cli("mapping", "remove", "--user", user["ruben"])
    assert "the mapping is OK" in cli("mapping", "check")
    assert cli.json("mapping", "check") == []


def test_an_account_that_will_not_work_is_reported_and_imported(cli: Command) -> None:
    file = cli.write("m.csv", f"{HEADER}u1,microsoft,nobody@example.org\n")
    output = cli("mapping", "import", file, "--check-directory")
    assert "the account is not in the directory" in output
    assert "1 added" in output
    assert "unknown" in cli("mapping", "check", code=1)


def test_a_directory_that_is_closed_is_not_taken_for_a_good_one(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.map_everybody()
    cli.sandbox.microsoft.directory.roles.discard("User.Read.All")
    file = cli.write("m.csv", f"{HEADER}u1,microsoft,nobody@example.org\n")
    before = rows(cli)
    assert "User.Read.All" in cli("mapping", "import", file, "--check-directory", code=1)
    assert rows(cli) == before
    administrator(monkeypatch)
    assert "google: not checked" in cli("mapping", "check")


def test_proposals_need_a_connection(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_MICROSOFT_GRAPH_DEFAULT")
    assert "no connection for microsoft" in cli(
        "mapping", "propose", "--platform", "microsoft", code=1
    )


# --- profiles and calendars of a person ---------------------------------------------------------

PROFILED = """
profiles:
  clinicians: {mirror_content: {title: {level: type}}}
  front-desk: {windows: {mirrors_future_days: 60}}
"""


def folder(cli: Command, settings: str, mapping: str = "") -> str:
    """A folder for `config apply`."""
    made = cli.folder / "config"
    made.mkdir(exist_ok=True)
    (made / "settings.yaml").write_text(SETTINGS + settings)
    (made / "user_mapping.csv").unlink(missing_ok=True)
    if mapping:
        (made / "user_mapping.csv").write_text(mapping)
    return str(made)


def profiled_rows(cli: Command, **profiles: str) -> str:
    found = ids(cli)
    lines = [f"{found[n]},google,{n}@example.org,{p}" for n, p in profiles.items()]
    return "welkin_user_id,platform,account,profile\n" + "\n".join(lines) + "\n"


def test_profiles_and_who_has_them_come_and_go_in_one_folder(cli: Command) -> None:
    cli.map_everybody()
    mapping = profiled_rows(cli, dana="clinicians", ruben="")
    cli("config", "apply", folder(cli, PROFILED, mapping))
    listed = json.loads(cli("config", "profiles", "--json"))
    assert [(one["name"], one["users"]) for one in listed] == [("clinicians", 1), ("front-desk", 0)]
    # Another name for the same profile: nobody is without one in between.
    renamed = PROFILED.replace("clinicians", "nurses")
    mapping = profiled_rows(cli, dana="nurses", ruben="")
    cli("config", "apply", folder(cli, renamed, mapping))
    listed = json.loads(cli("config", "profiles", "--json"))
    assert [(one["name"], one["users"]) for one in listed] == [("front-desk", 0), ("nurses", 1)]


def test_a_folder_that_takes_away_a_profile_in_use_changes_nothing(cli: Command) -> None:
    cli.map_everybody()
    cli("config", "apply", folder(cli, PROFILED, profiled_rows(cli, dana="clinicians")))
    before = cli("config", "show"), rows(cli)
    assert "profiles.clinicians is missing" in cli("config", "apply", folder(cli, ""), code=1)
    mapping = profiled_rows(cli, ruben="")
    assert "no profile clinicians" in cli("config", "apply", folder(cli, "", mapping), code=1)
    mapping = profiled_rows(cli, dana="ghosts")
    assert "no profile ghosts" in cli("config", "apply", folder(cli, PROFILED, mapping), code=1)
    assert "no profile ghosts" in cli("config", "validate", folder(cli, PROFILED, mapping), code=1)
    assert (cli("config", "show"), rows(cli)) == before


def test_two_profiles_are_compared(cli: Command) -> None:
    cli("config", "apply", folder(cli, PROFILED))
    found = json.loads(cli("config", "profiles", "clinicians", "front-desk", "--json"))
    assert found == {
        "mirror_content.title.level": {"one": "type", "other": "busy"},
        "windows.mirrors_future_days": {"one": 365, "other": 60},
    }
    assert "windows.mirrors_future_days" in cli("config", "profiles", "front-desk")
    assert "no profile ghosts" in cli("config", "profiles", "ghosts", code=1)


def test_one_users_profile_and_calendars_are_set_and_taken_back(cli: Command) -> None:
    cli.map_everybody()
    cli("config", "apply", folder(cli, PROFILED))
    dana = ids(cli)["dana"]
    user = ("--user", dana, "--platform", "google")
    cli(
        "mapping",
        "set",
        *user,
        "--profile",
        "front-desk",
        "--busy-calendar",
        "team",
        "--busy-calendar",
        "b@x",
    )
    rest = "true,,front-desk,team b@x,"
    assert row(dana, "dana@example.org", rest=rest) in rows(cli)
    cli("mapping", "set", *user, "--mirrors-calendar", "visits")
    assert row(dana, "dana@example.org", rest=rest + "visits") in rows(cli)
    assert "profile front-desk, 2 more calendars, mirrors in visits" in cli("mapping", "history")
    for form in ("yaml", "csv"):
        file = cli.folder / f"again.{form}"
        cli("mapping", "export", file)
        assert "(unchanged)" in cli("mapping", "import", file)
    cli("mapping", "set", *user, "--profile", "", "--busy-calendar", "", "--mirrors-calendar", "")
    assert row(dana, "dana@example.org") in rows(cli)
    assert "no profile ghosts" in cli("mapping", "set", *user, "--profile", "ghosts", code=1)
    ruben = "ruben@example.org"
    assert "main calendar of" in cli("mapping", "set", *user, "--busy-calendar", ruben, code=1)


def test_a_csv_file_without_these_columns_leaves_them(cli: Command) -> None:
    cli.map_everybody()
    cli("config", "apply", folder(cli, PROFILED, profiled_rows(cli, dana="front-desk", ruben="")))
    dana = ids(cli)["dana"]
    cli("mapping", "set", "--user", dana, "--platform", "google", "--busy-calendar", "team")
    before = rows(cli)
    file = cli.write("old.csv", f"{HEADER}{dana},google,dana@example.org\n")
    assert "(unchanged)" in cli("mapping", "import", file)
    assert rows(cli) == before
    header = HEADER.strip() + ",profile\n"
    named = cli.write("new.csv", f"{header}{dana},google,dana@example.org,\n")
    assert "1 changed" in cli("mapping", "import", named)
    assert row(dana, "dana@example.org", rest="true,,,team,") in rows(cli)
    yaml = cli.write(
        "new.yaml", f"- {{welkin_user_id: {dana}, platform: google, account: dana@example.org}}\n"
    )
    assert "1 changed" in cli("mapping", "import", yaml)
    assert row(dana, "dana@example.org") in rows(cli)
