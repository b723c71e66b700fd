"""The bodies of the tasks, over HTTPS against the sandbox, with connections in the environment."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import traceback
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from calendar_sync.config.settings import parse
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import (
    ConfigurationError,
    PlatformStopped,
    SyncError,
    TenantMisconfigured,
    UnexpectedError,
    UsersFailed,
)
from calendar_sync.core.model import MappedUser, Platform, Step
from calendar_sync.operations import pausing
from calendar_sync.orchestration.running import StateUnavailable
from calendar_sync.orchestration.tasks import closing, health, sync
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.sync.cycle import CycleResult
from calendar_sync.sync.outcomes import OutcomeStatus, UserOutcome
from calendar_sync.sync.runner import LOST_AFTER
from calendar_sync_sandbox import Fault, Sandbox, running
from tests.harness import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "made-up-key-of-the-organisation"
CANARY = "Zyxwandael Canaryson 7731"
GOOGLE = "google"
HOUR = timedelta(hours=1)
NAMES = ("dana", "ruben", "mira", "teo", "ilse")


class Bench:
    """A sandbox with five members of staff, a state database, and the tasks between them."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self.sandbox = sandbox
        self.path = path
        self.database = fresh(f"sqlite:///{path}")
        self.store = Store(self.database, KEY)
        self.settings()
        self.ids = {}
        for name in NAMES:
            user = sandbox.welkin.add_user(mail(name), name.title(), time_zone="US/Eastern")
            sandbox.google.add_account(mail(name))
            self.ids[name] = user.id
        self.map(*NAMES)

    def settings(self, **document: Any) -> None:
        limits = {"welkin_requests_per_second": 100} | document.pop("limits", {})
        self.store.config.save_settings(
            parse({"limits": limits, **document}), "tests", datetime.now(UTC)
        )

    def map(self, *names: str) -> None:
        users = [MappedUser(self.ids[name], Platform.GOOGLE, mail(name)) for name in names]
        self.store.config.edit_mapping(lambda _: users, "tests", datetime.now(UTC))

    def visit(self, name: str, hours: int = 24) -> Any:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + hours * HOUR
        return self.sandbox.welkin.book_encounter(self.ids[name], start, start + HOUR)

    def sync(self, *names: str, run: str = "run-1", **options: Any) -> list[UserOutcome]:
        group = [self.ids[name] for name in names]
        done = sync.sync_group(GOOGLE, group, run_id=run, owner=f"{run}/0", **options)
        return done.outcomes

    def execute(self, statement: str) -> None:
        with self.database.write() as connection:
            connection.execute(text(statement))


def mail(name: str) -> str:
    return f"{name}@example.org"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    sandbox = Sandbox()
    sandbox.welkin.rate_limit = 200
    made = Bench(sandbox, tmp_path / "state.db")
    with running(sandbox, tmp_path / "served"):
        served = json.loads((tmp_path / "served" / "connections.json").read_text())
        for name, fields in served.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
        monkeypatch.setenv(
            "AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY",
            json.dumps({"conn_type": "generic", "password": KEY}),
        )
        monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{made.path}")
        yield made
    made.database.close()
    assert sandbox.requests.mail_risk == []


def found(platform: str, **options: Any) -> list[list[str]]:
    return sync.find_groups(platform, **options).groups


# --- find_changed_users -----------------------------------------------------------


def test_at_first_everybody_has_work_later_only_who_changed(bench: Bench) -> None:
    everybody = sorted([user_id] for user_id in bench.ids.values())
    assert sorted(found(GOOGLE)) == everybody
    bench.sync(*NAMES)
    assert found(GOOGLE) == []
    bench.visit("mira")
    assert found(GOOGLE) == [[bench.ids["mira"]]]
    # XCom carries it.
    assert json.loads(json.dumps(found(GOOGLE))) == [[bench.ids["mira"]]]


def test_named_users_have_work_whatever_their_back_off(bench: Bench) -> None:
    pair = (bench.ids["dana"], Platform.GOOGLE)
    sync.find_groups(GOOGLE)
    bench.store.marks.failed(pair, "made_up", datetime.now(UTC), pause=3600)
    assert [bench.ids["dana"]] not in found(GOOGLE)
    assert found(GOOGLE, users=[bench.ids["dana"]]) == [[bench.ids["dana"]]]


def test_a_paused_user_is_left_alone_however_a_task_was_started(bench: Bench) -> None:
    dana = bench.ids["dana"]
    sync.find_groups(GOOGLE)
    bench.sync(*NAMES)
    until = pausing.pause(bench.store, dana, 2, "operator", datetime.now(UTC))
    bench.visit("dana")
    assert found(GOOGLE) == []
    assert [dana] not in found(GOOGLE, full_comparison=True)
    # By name, and by clearing a task that was there before.
    assert found(GOOGLE, users=[mail("dana")]) == [[dana]]
    assert not bench.store.marks.of(dana, Platform.GOOGLE).marked
    before = len(bench.sandbox.requests)
    for named in (True, False):
        [outcome] = bench.sync("dana", run="run-2", named=named)
        said = f"dana@example.org: paused until {until:%Y-%m-%d %H:%M} UTC"
        assert sync.group_label([outcome]) == said
        sync.raise_failures([outcome])
    assert [entry for entry in bench.sandbox.requests.since(before) if entry.is_write] == []
    both = bench.sync("dana", "ruben", run="run-3")
    assert "dana@example.org: paused until" in sync.group_label(both)
    pausing.resume(bench.store, dana, "operator", datetime.now(UTC))
    assert [dana] in found(GOOGLE, run_type="asset_triggered")
    bench.sync("dana", run="run-4")
    assert len(bench.sandbox.google.mirrors_of(mail("dana"))) == 1


def test_a_full_comparison_gives_work_to_everybody(bench: Bench) -> None:
    sync.find_groups(GOOGLE)
    bench.sync(*NAMES)
    assert found(GOOGLE) == []
    assert len(found(GOOGLE, full_comparison=True)) == len(NAMES)


def test_more_users_than_tasks_are_packed_evenly(bench: Bench) -> None:
    groups = found(GOOGLE, slots=2)
    assert sorted(len(group) for group in groups) == [2, 3]
    assert sorted(user for group in groups for user in group) == sorted(bench.ids.values())
    for number, group in enumerate(groups):
        done = sync.sync_group(GOOGLE, group, run_id="run-1", owner=f"run-1/{number}")
        outcomes = done.outcomes
        assert {outcome.status for outcome in outcomes} == {"ok"}
        assert sync.group_label(outcomes) == f"{len(group)} users: up to date"


def test_a_user_who_is_not_mapped_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="not mapped on google: nobody"):
        sync.find_groups(GOOGLE, users=["nobody"])


def test_one_wrong_name_fails_alone_and_delays_no_user(bench: Bench) -> None:
    visit = bench.visit("dana")
    names = ["nobody", mail("dana").upper(), "no.one@example.org", bench.ids["ruben"]]
    groups = found(GOOGLE, users=names)
    assert sorted(map(tuple, groups)) == sorted(
        [(bench.ids["dana"],), (bench.ids["ruben"],), ("nobody",), ("no.one@example.org",)]
    )
    outcomes = [
        outcome
        for group in groups
        for outcome in sync.sync_group(
            GOOGLE, group, run_id="run-1", owner="run-1", named=True
        ).outcomes
    ]
    assert visit
    assert {o.account or o.user_id: (o.status, o.code) for o in outcomes} == {
        mail("dana"): ("ok", None),
        mail("ruben"): ("ok", None),
        "nobody": ("failed", "not_mapped"),
        "no.one@example.org": ("failed", "not_mapped"),
    }
    with pytest.raises(UsersFailed) as raised:
        sync.raise_failures(outcomes)
    assert "nobody" in raised.value.detail
    assert mail("dana") not in raised.value.detail
    assert len(bench.sandbox.google.mirrors_of(mail("dana"))) == 1


def test_a_platform_fault_stops_the_run(bench: Bench) -> None:
    sync.find_groups(GOOGLE)
    bench.sync(*NAMES)
    bench.store.runs.set_fault(Platform.GOOGLE, code_of("made_up_fault"), datetime.now(UTC))
    for name in NAMES:
        bench.sandbox.google.revoke(mail(name))
    with pytest.raises(PlatformStopped, match="google: made_up_fault"):
        sync.find_groups(GOOGLE)


def test_wrong_credentials_stop_the_run(bench: Bench) -> None:
    bench.sandbox.client_secret = "changed"
    bench.sandbox.welkin_access.secret = "changed"
    with pytest.raises(TenantMisconfigured, match="welkin_unauthorized"):
        sync.find_groups(GOOGLE)


# --- sync_group and its label -------------------------------------------------------


def test_the_label_counts_what_was_done(bench: Bench) -> None:
    bench.visit("dana", 24)
    bench.visit("dana", 48)
    start = datetime.now(UTC).replace(microsecond=0) + 72 * HOUR
    bench.sandbox.google.add_event(mail("dana"), start=start, end=start + HOUR, summary="private")
    sync.find_groups(GOOGLE)
    outcomes = bench.sync("dana")
    assert sync.group_label(outcomes) == "dana@example.org: 2 created, 1 busy block created"
    assert len(bench.sandbox.google.mirrors_of(mail("dana"))) == 2
    assert sync.group_label(bench.sync("dana")) == "dana@example.org: nothing to do"


def test_the_label_of_a_group_names_who_had_work_or_failed(bench: Bench) -> None:
    bench.visit("dana")
    bench.visit("ruben")
    bench.sandbox.google.revoke(mail("ruben"))
    sync.find_groups(GOOGLE)
    label = sync.group_label(bench.sync("dana", "ruben", "mira"))
    assert label.startswith("3 users: dana@example.org: 1 created; ruben@example.org: failed (")
    assert "mira" not in label


def test_a_dry_run_counts_and_writes_nothing(bench: Bench) -> None:
    bench.visit("dana")
    sync.find_groups(GOOGLE)
    before = len(bench.sandbox.requests)
    assert sync.group_label(bench.sync("dana", dry_run=True)) == (
        "dana@example.org: dry run, 1 change planned"
    )
    assert bench.sandbox.requests.writes(since=before) == []
    assert bench.store.marks.of(bench.ids["dana"], Platform.GOOGLE).marked


def test_a_user_in_other_hands_is_busy(bench: Bench) -> None:
    sync.find_groups(GOOGLE)
    bench.store.leases.take(bench.ids["dana"], "somebody else", datetime.now(UTC))
    [outcome] = bench.sync("dana")
    assert outcome.status == "busy"
    sync.raise_failures([outcome])
    assert sync.group_label([outcome]) == "dana@example.org: busy"


def _outcomes(count: int, name: str) -> list[UserOutcome]:
    done = CycleResult("", "", done=Counter({Step.CREATE_MIRROR: 123}))
    return [
        UserOutcome(f"u-{number}", f"{name}{number}@example.org", OutcomeStatus.OK, result=done)
        for number in range(count)
    ]


@pytest.mark.parametrize("name", ["dana", "x" * 400])
@pytest.mark.parametrize("count", [1, 2, 5, 40, 500])
def test_a_label_has_its_limits(count: int, name: str) -> None:
    label = sync.group_label(_outcomes(count, name))
    assert len(label) <= sync.LONGEST_LABEL
    cut = label.endswith("…")
    whole = len(label) < sync.LONGEST_LABEL
    assert cut is not whole
    assert label.startswith((name[:200], f"{count} users: {name[:200]}"))


# --- raise_failures ---------------------------------------------------------------


def test_a_failure_fails_the_task_however_often_it_was_seen() -> None:
    fresh = UserOutcome(
        "u-1", "dana@example.org", OutcomeStatus.FAILED, code_of("made_up"), False, "why"
    )
    known = UserOutcome("u-2", "ruben@example.org", OutcomeStatus.FAILED, code_of("made_up"), True)
    good = UserOutcome("u-3", "mira@example.org", OutcomeStatus.OK)
    sync.raise_failures([good])
    assert sync.group_label([known]) == "ruben@example.org: still failing (made_up)"
    with pytest.raises(UsersFailed) as raised:
        sync.raise_failures([fresh, known, good])
    assert raised.value.detail == (
        "dana@example.org (u-1): made_up why; ruben@example.org (u-2): made_up"
    )


def test_the_fourth_failure_in_a_row_is_red_as_the_first_was(bench: Bench) -> None:
    bench.sandbox.google.revoke(mail("dana"))
    seen = []
    for number in range(4):
        sync.find_groups(GOOGLE, users=[bench.ids["dana"]])
        [outcome] = bench.sync("dana", run=f"run-{number}")
        seen.append((outcome.status, outcome.attention))
    assert seen == [("failed", False)] * 3 + [("failed", True)]
    assert "still failing" in sync.group_label([outcome])
    with pytest.raises(UsersFailed):
        sync.raise_failures([outcome])


# --- record_run -------------------------------------------------------------------

ROW = {"user_id": "u-1", "account": "a", "status": "ok", "code": "", "done": {}}


@pytest.mark.parametrize(
    ("pushed", "count"),
    [
        (None, 0),
        ([], 0),
        ([None], 0),
        ([ROW], 1),
        ([ROW, ROW], 2),
        ([[ROW], [ROW, ROW]], 3),
        ([[ROW], None, []], 1),
    ],
)
def test_outcomes_are_found_in_whatever_xcom_gives(pushed: Any, count: int) -> None:
    assert closing.rows_of(pushed) == [ROW] * count


def test_a_run_is_recorded_and_sealed(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    started = datetime.now(UTC)
    bench.visit("dana")
    bench.sandbox.google.revoke(mail("ruben"))
    bench.visit("ruben")
    sync.find_groups(GOOGLE)
    rows = [json.loads(json.dumps(o.row)) for o in bench.sync("dana", "ruben")]
    with caplog.at_level(logging.INFO):
        seal = closing.close_run(GOOGLE, "run-1", started, rows, [{"google.a": 1}, {"google.a": 2}])
    assert seal
    assert f"audit seal {seal}" in caplog.text
    with bench.database.read() as connection:
        [run] = connection.execute(select(t.sync_run))
    assert (run.run_id, run.platform, run.started_at) == ("run-1", GOOGLE, started)
    assert (run.users, run.failed) == (2, 1)
    assert run.summary == {
        "statuses": {"ok": 1, "failed": 1},
        "done": {"create_mirror": 1},
        "seal": seal,
        "requests": {"google.a": 3},
    }
    assert bench.store.audit.verify(expected_seal=seal) == []


def test_what_is_wrong_with_another_connection_stops_no_task(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks of one platform read its connection and Welkin's; a run is recorded without either."""
    monkeypatch.setenv("AIRFLOW_CONN_MICROSOFT_GRAPH_DEFAULT", '{"extra": "[]"}')
    bench.visit("dana")
    assert [bench.ids["dana"]] in found(GOOGLE)
    [outcome] = bench.sync("dana")
    assert len(bench.sandbox.google.mirrors_of(mail("dana"))) == 1
    monkeypatch.setenv("AIRFLOW_CONN_WELKIN_DEFAULT", '{"extra": "[]"}')
    with pytest.raises(ConfigurationError):
        found(GOOGLE)
    assert closing.close_run(GOOGLE, "run-1", datetime.now(UTC), [outcome.row])


def test_a_run_without_work_keeps_the_seal(bench: Bench) -> None:
    assert closing.close_run(GOOGLE, "run-0", datetime.now(UTC), []) == ""
    bench.visit("dana")
    sync.find_groups(GOOGLE)
    rows = [outcome.row for outcome in bench.sync("dana")]
    seal = closing.close_run(GOOGLE, "run-1", datetime.now(UTC), rows)
    assert closing.close_run(GOOGLE, "run-2", datetime.now(UTC), []) == seal
    # A cleared run is recorded again, in the same row.
    assert closing.close_run(GOOGLE, "run-1", datetime.now(UTC), rows) == seal
    with bench.database.read() as connection:
        assert len(list(connection.execute(select(t.sync_run)))) == 3
    assert bench.store.audit.verify(expected_seal=seal) == []


def rows_of_runs(bench: Bench) -> dict[str, Any]:
    with bench.database.read() as connection:
        return {row.run_id: row for row in connection.execute(select(t.sync_run))}


def test_a_run_that_nobody_closes_is_recorded_by_a_later_one(bench: Bench) -> None:
    """Airflow ends a run that takes too long without its last task."""
    bench.visit("dana")
    bench.visit("ruben")
    sync.find_groups(GOOGLE, run_id="lost")
    bench.sandbox.google.revoke(mail("ruben"))
    bench.sync("dana", "ruben", run="lost")
    closing.close_run(GOOGLE, "run-1", datetime.now(UTC), [])
    assert rows_of_runs(bench)["lost"].ended_at is None, "it may still be running"
    with bench.database.write() as connection:
        long_ago = datetime.now(UTC) - LOST_AFTER
        connection.execute(update(t.sync_run).values(started_at=long_ago))
    seal = closing.close_run(GOOGLE, "run-2", datetime.now(UTC), [])
    lost = rows_of_runs(bench)["lost"]
    assert lost.ended_at is not None
    assert (lost.users, lost.failed) == (2, 1)
    assert lost.summary["done"] == {"create_mirror": 1}
    assert lost.summary["lost"]
    assert bench.store.audit.verify(expected_seal=seal) == []


def test_a_dry_run_has_a_row_and_takes_nobody(bench: Bench) -> None:
    bench.visit("dana")
    assert found(GOOGLE, run_id="dry", dry_run=True)
    assert list(rows_of_runs(bench)) == ["dry"]
    assert not bench.store.runs.any_sync(), "it has not ended"
    assert found(GOOGLE, run_id="wet")


# --- What is lost, wrong or broken ---------------------------------------------------


def _every_task(bench: Bench) -> dict[str, Any]:
    return {
        "find": lambda: sync.find_groups(GOOGLE),
        "sync": lambda: bench.sync("dana"),
        "record": lambda: closing.close_run(GOOGLE, "run-9", datetime.now(UTC), []),
    }


TASKS = pytest.mark.parametrize("task", ["find", "sync", "record"])


@TASKS
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{folder}",
        "postgresql+psycopg://nobody:Secret7731@127.0.0.1:1/none",
    ],
    ids=["sqlite", "postgresql"],
)
def test_a_lost_database_is_for_airflow_to_try_again(
    bench: Bench, task: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", url.format(folder=tmp_path))
    with pytest.raises(StateUnavailable) as raised:
        _every_task(bench)[task]()
    assert not isinstance(raised.value, SyncError)
    assert "7731" not in "".join(traceback.format_exception(raised.value))


def test_a_database_lost_in_the_middle_is_for_airflow_to_try_again(bench: Bench) -> None:
    bench.visit("dana")
    sync.find_groups(GOOGLE)
    bench.execute("ALTER TABLE operation RENAME TO away")
    with pytest.raises(StateUnavailable):
        bench.sync("dana")
    bench.execute("ALTER TABLE away RENAME TO operation")
    [outcome] = bench.sync("dana")
    assert outcome.status == "ok"
    assert len(bench.sandbox.google.mirrors_of(mail("dana"))) == 1


@TASKS
def test_a_file_that_is_no_database_is_for_airflow_to_try_again(
    bench: Bench, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.db").write_text(CANARY * 1000)
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/broken.db")
    with pytest.raises(StateUnavailable) as raised:
        _every_task(bench)[task]()
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@TASKS
def test_a_database_that_was_never_made_needs_a_person(
    bench: Bench, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(ConfigurationError, match="calendar-sync db upgrade"):
        _every_task(bench)[task]()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("find", "welkin_default"),
        ("sync", "welkin_default"),
        ("find", "calendar_sync_hmac_key"),
        ("sync", "calendar_sync_hmac_key"),
        ("record", "calendar_sync_hmac_key"),
    ],
)
def test_a_missing_connection_is_named(
    bench: Bench, task: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}")
    with pytest.raises(ConfigurationError, match=f"connection {name} is missing"):
        _every_task(bench)[task]()


def _texts(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + caplog.text


@TASKS
def test_a_bug_leaves_a_task_without_its_text(
    bench: Bench, task: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        try:
            raise ValueError(f"visit of {CANARY}")
        except ValueError as error:
            raise KeyError(CANARY) from error

    for module, name in ((sync, "find_work"), (sync, "sync_users"), (closing, "store_run")):
        monkeypatch.setattr(module, name, broken)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnexpectedError) as raised:
        _every_task(bench)[task]()
    assert raised.value.detail.startswith("KeyError at ")
    assert CANARY not in _texts(raised.value, caplog)


def test_a_bug_within_a_cycle_fails_its_user_without_its_text(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.visit("dana")
    bench.visit("ruben")
    sync.find_groups(GOOGLE)
    bench.execute(
        "CREATE TRIGGER bug BEFORE INSERT ON operation "
        f"WHEN NEW.user_id = '{bench.ids['dana']}' "
        f"BEGIN SELECT RAISE(ABORT, 'visit of {CANARY}'); END"
    )
    outcomes = bench.sync("dana", "ruben")
    assert [(o.status, o.code) for o in outcomes] == [("failed", "unexpected"), ("ok", None)]
    with pytest.raises(UsersFailed) as raised:
        sync.raise_failures(outcomes)
    assert "IntegrityError" in str(raised.value)
    assert CANARY not in _texts(raised.value, caplog)
    assert CANARY not in json.dumps([o.row for o in outcomes]) + sync.group_label(outcomes)
    with sqlite3.connect(bench.path) as dump:
        dump.execute("DROP TRIGGER bug")
        assert CANARY not in "\n".join(dump.iterdump())
    dump.close()


@pytest.mark.parametrize("service", ["google", "welkin"])
@pytest.mark.parametrize("code", [400, 403, 500])
def test_what_a_server_says_is_not_repeated(
    bench: Bench, service: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.visit("dana")
    sync.find_groups(GOOGLE)
    fault = Fault(service, "status", path="events", code=code, times=None, message=CANARY)
    bench.sandbox.faults.add(fault)
    outcomes = bench.sync("dana")
    assert fault.struck
    text_of = repr(outcomes) + sync.group_label(outcomes) + json.dumps([outcomes[0].row])
    try:
        sync.raise_failures(outcomes)
    except UsersFailed as error:
        text_of += _texts(error, caplog)
    assert outcomes[0].status == "failed" or outcomes[0].result.refused
    assert CANARY not in text_of + caplog.text


# --- health ---------------------------------------------------------------------------------------


def tokens_asked(bench: Bench, service: str) -> int:
    return sum(entry.kind == f"{service}.token" for entry in bench.sandbox.requests)


def rotate(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    """The connection holds another secret from now on."""
    variable = f"AIRFLOW_CONN_{name.upper()}"
    monkeypatch.setenv(variable, json.dumps(json.loads(os.environ[variable]) | values))


def test_health_looks_with_tokens_of_its_own_and_asks_welkin_for_one(bench: Bench) -> None:
    sync.find_groups(GOOGLE)
    bench.sync(*NAMES)
    before = {name: tokens_asked(bench, name) for name in ("welkin", "google")}
    groups = health.list_accounts()
    assert tokens_asked(bench, "welkin") == before["welkin"] + 1
    for group in groups:
        assert health.validate_accounts(group) == "google: 5 ok"
    assert tokens_asked(bench, "welkin") == before["welkin"] + 1, "no group asks Welkin"
    assert tokens_asked(bench, "google") == before["google"] + len(NAMES)


def test_health_does_not_pass_on_tokens_of_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.find_groups(GOOGLE)
    bench.sync(*NAMES)
    [group] = health.list_accounts()
    extra = json.loads(os.environ["AIRFLOW_CONN_GOOGLE_CALENDAR_DEFAULT"])["extra"]
    keyfile = json.loads(extra["keyfile_dict"]) | {"client_email": "other@project.example.org"}
    rotate(monkeypatch, "google_calendar_default", extra={**extra, "keyfile_dict": keyfile})
    assert health.validate_accounts(group) == "google: 5 connection_faulty"
    rotate(monkeypatch, "welkin_default", password="rotated")
    with pytest.raises(TenantMisconfigured, match="welkin_unauthorized"):
        health.list_accounts()


def test_health_evaluates_the_mapping_rules(bench: Bench) -> None:
    assert health.evaluate_rules() == "no row changed"
    bench.map()
    rule = {"name": "all", "platform": "google", "email_domain": "example.org", "apply": True}
    bench.settings(mapping_rules=[rule])
    assert health.evaluate_rules() == "5 added"
    assert health.evaluate_rules() == "no row changed"
    [group] = health.list_accounts()
    assert len(group["users"]) == len(NAMES)
    bench.sandbox.faults.add(Fault("welkin", "status", times=None, code=403))
    with pytest.raises(SyncError):
        health.evaluate_rules()
