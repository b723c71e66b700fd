"""What is wrong with the connection of one platform keeps nobody from the other."""

import json

import pytest

from calendar_sync.core.model import Platform
from tests.engine.cli import test_cli
from tests.engine.cli.test_cli import Command

pytestmark = pytest.mark.xdist_group("cli")
cli = test_cli.cli
NAMES = {Platform.GOOGLE: "google_calendar_default", Platform.MICROSOFT: "microsoft_graph_default"}
#: What cannot be read at all, and what lacks everything.
WRONG = ['{"extra": "[]"}', '{"extra": "{}"}']


@pytest.fixture(params=list(Platform), ids=lambda one: one.value)
def broken(request: pytest.FixtureRequest) -> Platform:
    """Whose connection is wrong."""
    found: Platform = request.param
    return found


@pytest.fixture
def other(broken: Platform) -> Platform:
    return next(one for one in Platform if one is not broken)


@pytest.fixture(params=WRONG)
def both(
    cli: Command, broken: Platform, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Dana is on Google, Ruben on both; everything is in step, and then a connection breaks."""
    cli.sandbox.microsoft.add_account("ruben@example.org")
    cli.map_everybody()
    cli.visit("ruben")
    cli("sync")
    monkeypatch.setenv(f"AIRFLOW_CONN_{NAMES[broken].upper()}", request.param)
    return cli


def test_the_other_is_synced_and_this_is_refused_by_name(
    both: Command, broken: Platform, other: Platform
) -> None:
    before = len(mirrors(both, other))
    both.visit("ruben", 48)
    both("sync", "--platform", other.value)
    assert len(mirrors(both, other)) == before + 1
    both.write("settings.yaml", "polling: {interval_seconds: 90}")
    preview = ("config", "preview", both.folder)
    for words in (("sync", "--platform", broken.value), ("sync",), preview):
        said = both(*words, code=1)
        assert NAMES[broken] in said
        assert "unexpected" not in said


def test_health_checks_everybody_else_and_names_the_connection(
    both: Command, broken: Platform, other: Platform
) -> None:
    both("health", code=1)
    report = json.loads(both("report", "--json"))
    found = {(item["kind"], item["platform"], item["code"]) for item in report["items"]}
    assert found == {("account", broken.value, "connection_faulty")}
    [checked] = [one for one in report["platforms"] if one["platform"] == other.value]
    assert set(checked["verdicts"]) == {"ok"}


def test_whoever_leaves_the_other_is_unsynced(
    both: Command, broken: Platform, other: Platform
) -> None:
    both("mapping", "disable", "--user", "ruben@example.org", "--platform", other.value)
    both("unsync", "--user", "ruben@example.org", "--platform", other.value, "--yes")
    assert mirrors(both, other) == []
    assert len(mirrors(both, broken)) == 1


def test_proposals_and_the_self_test_say_what_is_wrong(both: Command, broken: Platform) -> None:
    assert NAMES[broken] in both("mapping", "propose", "--out", both.folder / "found.yaml")
    alone = "dana@example.org" if broken is Platform.GOOGLE else None
    for words in ([alone and "--user", alone] if alone else [], ["--platform", broken.value]):
        if words:
            assert NAMES[broken] in both("selftest", *words, code=1)


def test_explain_says_it_where_it_matters(both: Command, broken: Platform, other: Platform) -> None:
    parts = both.json("explain", "--user", "ruben@example.org")["parts"]
    verdicts = {part["platform"]: part["verdict"] for part in parts}
    assert verdicts[other.value] == "in_step"
    assert verdicts[broken.value] == "not_connected"


def mirrors(cli: Command, platform: Platform) -> list[object]:
    there = cli.sandbox.google if platform is Platform.GOOGLE else cli.sandbox.microsoft
    return list(there.mirrors_of("ruben@example.org"))
