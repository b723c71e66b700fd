"""Health, approvals, un-sync and maintenance under a real scheduler, with a real mail server."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler

from calendar_sync.core.dag_ids import (
    APPROVALS,
    GRANT,
    HEALTH,
    LEAVE,
    MAINTENANCE,
    REMOVE,
    UNSYNC,
)
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.attention import decisions
from calendar_sync.operations.approvals import waiting
from calendar_sync.orchestration.tasks.maintenance import TIDIED
from calendar_sync.state.migrate import upgrade
from calendar_sync.sync.roster import LEAVING
from calendar_sync_sandbox.demo.checks import contents, leaks
from calendar_sync_sandbox.ports import free_port
from calendar_sync_sandbox.standalone import USER, AirflowError
from tests.e2e.airflow.stage import KEY, SECRET, Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

REPORT_TO = "admin@example.org"


class Mailbox(MailHandler):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


class Gauges:
    """A StatsD server: the last value of each name, and the sum of each counter."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.seen: dict[str, float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                for line in self.socket.recv(65536).decode().splitlines():
                    match = re.match(r"airflow\.(calendar_sync\.[^:]+):([\d.]+)\|(\w)", line)
                    if match and match[3] == "c":
                        self.seen[match[1]] = self.seen.get(match[1], 0) + float(match[2])
                    elif match:
                        self.seen[match[1]] = float(match[2])


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    handler = Mailbox()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), ready_timeout=60)
    controller.start()
    handler.port = controller.port  # type: ignore[attr-defined]
    yield handler
    controller.stop()


@pytest.fixture(scope="module")
def gauges() -> Iterator[Gauges]:
    made = Gauges()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox, gauges: Gauges
) -> Iterator[Stage]:
    smtp = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mailbox.port,  # type: ignore[attr-defined]
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "sync@example.org"},
    }
    env = {
        # The tests ask for the runs, and a run looks for changes itself.
        "CALENDAR_SYNC_TRIGGERER": "off",
        # Uma may edit and start DAGs, as every ordinary user of Airflow.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,uma:user",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(gauges.port),
    }
    settings = {"notify": {"to": [REPORT_TO]}, "freshness": {"target_seconds": 540}}
    folder = tmp_path_factory.mktemp("upkeep")
    with open_stage(folder, settings, env, {"smtp_default": smtp}) as made:
        for dag_id in (HEALTH, APPROVALS, UNSYNC, MAINTENANCE):
            made.airflow.wait_dag(dag_id)
            made.airflow.unpause(dag_id)
        yield made


@pytest.fixture(scope="module")
def filled(stage: Stage) -> Stage:
    """Both platforms after the first fill; then their schedules rest."""
    for platform in Platform:
        one = stage.on(platform.value)
        one.settle()
    return stage


def run(stage: Stage, dag_id: str, **conf: Any) -> tuple[str, str]:
    run_id = stage.airflow.trigger(dag_id, conf)
    return run_id, stage.airflow.wait_run(dag_id, run_id)


def told(stage: Stage, dag_id: str, run_id: str) -> str:
    """States, labels, and the logs of what failed, for the message of an assertion."""
    lines = []
    for task in stage.airflow.task_instances(dag_id, run_id):
        lines.append(f"{task.task_id}[{task.map_index}]: {task.state} {task.label}")
        if task.state == "failed":
            log = stage.airflow.logs(dag_id, run_id, task.task_id, task.map_index)
            lines.append(log[-3000:])
    return "\n".join(lines)


def labels(stage: Stage, dag_id: str, run_id: str, task_id: str) -> list[str]:
    tasks = stage.airflow.task_instances(dag_id, run_id)
    return sorted(task.label or "" for task in tasks if task.task_id == task_id)


def questions(stage: Stage, dag_id: str, run_id: str, count: int) -> list[Any]:
    """Wait for the tasks that ask, as *Required Actions* shows them."""
    found: list[Any] = []

    def asked() -> bool:
        states = [task.state for task in stage.airflow.task_instances(dag_id, run_id)]
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/hitlDetails"
        found[:] = stage.airflow.call("GET", path)["hitl_details"]
        return len(found) == count == states.count("awaiting_input")

    stage.wait(asked)
    return found


def answer(stage: Stage, dag_id: str, run_id: str, question: Any, choice: str) -> None:
    """Answer as a person does, seconds later: Airflow 3.3.2 fails a task that is answered before
    its scheduler has noticed that the task rests.
    """
    time.sleep(4)
    task = question["task_instance"]
    path = (
        f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/"
        f"{task['task_id']}/{task['map_index']}/hitlDetails"
    )
    stage.airflow.call("PATCH", path, {"chosen_options": [choice], "params_input": {}})


def arrived(stage: Stage, mailbox: Mailbox, before: int) -> list[Message]:
    stage.wait(lambda: len(mailbox.mails) > before)
    return mailbox.mails[before:]


def body_of(message: Message) -> str:
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    part = parsed.get_body(("html",))
    assert part is not None
    return str(part.get_content())


# --- metrics --------------------------------------------------------------------


def test_airflows_metrics_get_how_each_platform_stands(filled: Stage, gauges: Gauges) -> None:
    for platform, users in (("google", 4), ("microsoft", 2)):
        base = f"calendar_sync.{platform}"
        filled.wait(partial(gauges.seen.__contains__, f"{base}.freshness_seconds"))
        assert gauges.seen[f"{base}.users.ok"] == users
        assert gauges.seen[f"{base}.users.needs_attention"] == 0
        assert gauges.seen[f"{base}.stopped"] == 0
        assert gauges.seen[f"{base}.writes.create_mirror"] > users
        kinds = [name for name in gauges.seen if name.startswith(f"{base}.requests.")]
        assert any(f".requests.{platform}." in name for name in kinds)


# --- health ---------------------------------------------------------------------


def test_health_finds_each_fault_and_mails_what_to_do(filled: Stage, mailbox: Mailbox) -> None:
    google, microsoft = filled.on("google"), filled.on("microsoft")
    unlicensed, suspended, inactive = google.users[:3]
    revoked = microsoft.users[0]
    filled.sandbox.google.suspend(suspended.account)
    filled.sandbox.google.no_licence(unlicensed.account)
    filled.sandbox.welkin.users[inactive.welkin_id].state = "INACTIVE"
    filled.sandbox.microsoft.revoke(revoked.account)
    before = len(mailbox.mails)
    try:
        run_id, state = run(filled, HEALTH)
    finally:
        filled.sandbox.google.restore(suspended.account)
        filled.sandbox.google.restore(unlicensed.account)
        filled.sandbox.welkin.users[inactive.welkin_id].state = "ACTIVE"
        filled.sandbox.microsoft.restore(revoked.account)
    assert state == "success"
    found = {(one.platform, one.account): one.verdict for one in filled.store.health.verdicts()}
    assert found[Platform.GOOGLE, suspended.account.lower()] == "account_suspended"
    assert found[Platform.GOOGLE, unlicensed.account.lower()] == "no_calendar_licence"
    assert found[Platform.GOOGLE, inactive.account.lower()] == "welkin_user_inactive"
    assert found[Platform.MICROSOFT, revoked.account.lower()] == "outside_scope"
    assert sorted(found.values()).count("ok") == len(found) - 4 - (
        1 if (Platform.MICROSOFT, inactive.account.lower()) in found else 0
    )
    assert labels(filled, HEALTH, run_id, "validate_accounts")[0].startswith("google: 1 ")
    [mail] = arrived(filled, mailbox, before)
    assert mail["To"] == REPORT_TO
    assert mail["Subject"].startswith("Calendar sync: ")
    assert " to look at" in mail["Subject"]
    text = body_of(mail)
    for account in (suspended.account, unlicensed.account, inactive.account, revoked.account):
        assert account.lower() in text
    assert "licence" in text
    report = filled.store.health.report()
    assert report is not None
    assert (report.run_id, report.html) == (run_id, text.rstrip("\n"))
    assert report.sent_at is not None
    kinds = {item["kind"] for item in report.document["items"]}
    assert kinds == {"account"}


def test_a_healthy_organisation_gets_its_daily_summary(filled: Stage, mailbox: Mailbox) -> None:
    before = len(mailbox.mails)
    _, state = run(filled, HEALTH)
    assert state == "success"
    [mail] = arrived(filled, mailbox, before)
    assert "all up to date" in mail["Subject"]
    text = body_of(mail)
    assert "synced events created" in text
    assert "requests in 24 hours" in text


# --- freshness ------------------------------------------------------------------


def test_a_late_user_raises_one_alarm(filled: Stage, mailbox: Mailbox) -> None:
    one = filled.on("google")
    one.settle()  # nobody else is late, however long the tests above took
    user = one.users[0]
    pair = (user.welkin_id, Platform.GOOGLE)
    now = datetime.now(UTC)
    # A change of ten minutes ago that waits: its user's calendar asked for patience.
    with filled.database.write() as connection:
        filled.store.marks.mark(connection, [pair], now - timedelta(minutes=10))
        filled.store.marks.postpone(connection, pair, now + timedelta(hours=1))
    before = len(mailbox.mails)
    one.airflow.unpause(one.dag_id)
    for _ in range(2):
        one.run()
    one.rest()
    [mail] = arrived(filled, mailbox, before)
    assert user.account.lower() in mail["Subject"]
    assert "google is late" in mail["Subject"]
    with filled.database.write() as connection:
        filled.store.marks.postpone(connection, pair, now)


# --- approvals ------------------------------------------------------------------


def test_what_waits_is_approved_or_left_in_the_airflow_ui(filled: Stage) -> None:
    runs, now = filled.store.runs, datetime.now(UTC)
    one, other = (user.welkin_id for user in filled.on("google").users[:2])
    runs.ask_for(LEAVING, "d1", {one: 12}, Platform.GOOGLE, now)
    runs.ask_for("brake", "d2", {other: 30}, Platform.GOOGLE, now)
    run_id = filled.airflow.trigger(APPROVALS, {})
    asked = questions(filled, APPROVALS, run_id, 2)
    subjects = {question["subject"]: question for question in asked}
    [leaving] = [subject for subject in subjects if "left Welkin" in subject]
    [brake] = [subject for subject in subjects if "30 deletions" in subject]
    body = subjects[leaving]["body"]
    for said in (filled.on("google").users[0].account.lower(), "until you approve", "/attention"):
        assert said in body
    answer(filled, APPROVALS, run_id, subjects[leaving], GRANT)
    answer(filled, APPROVALS, run_id, subjects[brake], LEAVE)
    state = filled.airflow.wait_run(APPROVALS, run_id)
    assert state == "success", told(filled, APPROVALS, run_id)
    # Answered there, neither is asked on the page any more.
    assert waiting(filled.store) == []
    assert [(entry.digest, entry.declined) for entry in runs.pending()] == [("d2", True)]
    assert runs.approved_users(LEAVING, Platform.GOOGLE, datetime.now(UTC)) == {one}
    by = {(decided.choice, decided.source_id) for decided in decisions(filled.store)}
    assert by == {("approved", "d1"), ("kept_for_now", "d2")}
    assert {decided.author for decided in decisions(filled.store)} == {f"airflow:{USER}"}
    found = labels(filled, APPROVALS, run_id, "decide.grant")
    assert found == ["approved for 1 user: d1", "kept for now: d2"]
    with filled.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM approval")


def test_what_is_answered_on_the_page_is_closed_in_the_airflow_ui(filled: Stage) -> None:
    runs, now = filled.store.runs, datetime.now(UTC)
    one, other = (user.welkin_id for user in filled.on("google").users[:2])
    runs.ask_for(LEAVING, "d3", {one: 12}, Platform.GOOGLE, now)
    runs.ask_for("brake", "d4", {other: 30}, Platform.GOOGLE, now)
    run_id = filled.airflow.trigger(APPROVALS, {})
    questions(filled, APPROVALS, run_id, 2)
    time.sleep(4)  # as `answer` does
    for digest, said in (("d3", "approve"), ("d4", "keep")):
        on_page(filled, {"digests": [digest], "answer": said})
    state = filled.airflow.wait_run(APPROVALS, run_id)
    assert state == "success", told(filled, APPROVALS, run_id)
    assert waiting(filled.store) == []
    assert runs.approved_users(LEAVING, Platform.GOOGLE, datetime.now(UTC)) == {one}
    with filled.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM approval")


def test_what_is_approved_by_command_is_closed_in_the_airflow_ui(filled: Stage) -> None:
    runs, now = filled.store.runs, datetime.now(UTC)
    one = filled.on("google").users[0].welkin_id
    runs.ask_for(LEAVING, "d5", {one: 12}, Platform.GOOGLE, now)
    run_id = filled.airflow.trigger(APPROVALS, {})
    questions(filled, APPROVALS, run_id, 1)
    time.sleep(4)  # as `answer` does
    tool = str(Path(sys.executable).parent / "calendar-sync")
    command = [tool, "approve", "d5", "--json"]
    made = subprocess.run(command, env=filled.airflow.env, capture_output=True, check=True)
    assert json.loads(made.stdout) == {"approved": {"d5": 1}, "closed_in_airflow": True}
    state = filled.airflow.wait_run(APPROVALS, run_id)
    assert state == "success", told(filled, APPROVALS, run_id)
    assert runs.approved_users(LEAVING, Platform.GOOGLE, datetime.now(UTC)) == {one}
    with filled.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM approval")


def on_page(stage: Stage, body: dict[str, Any]) -> None:
    """Answer as our page does, by its API."""
    address = f"http://127.0.0.1:{stage.airflow.port}"
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        who = {"username": USER, "password": stage.airflow.password}
        token = client.post("/auth/token", json=who).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        path = "/calendar-sync/api/v1/approvals"
        assert client.post(path, json=body, headers=headers).status_code == 200


# --- un-sync --------------------------------------------------------------------


def test_an_unsync_that_is_rejected_changes_nothing(filled: Stage) -> None:
    user = filled.on("google").users[1]
    before = len(filled.sandbox.google.mirrors_of(user.account))
    assert before
    run_id = filled.airflow.trigger(UNSYNC, {"users": [user.welkin_id]})
    [question] = questions(filled, UNSYNC, run_id, 1)
    answer(filled, UNSYNC, run_id, question, LEAVE)
    state = filled.airflow.wait_run(UNSYNC, run_id)
    assert state == "success", told(filled, UNSYNC, run_id)
    row = filled.store.config.mapped(user.welkin_id, Platform.GOOGLE)
    assert row is not None
    assert row.enabled
    assert len(filled.sandbox.google.mirrors_of(user.account)) == before


def test_an_unsync_removes_what_is_ours_and_proves_it(filled: Stage) -> None:
    user, other = filled.on("google").users[1:3]
    google = filled.sandbox.google
    own = [event["id"] for event in google.events_of(user.account)]
    ours = [event["id"] for event in google.mirrors_of(user.account)]
    others = google.mirrors_of(other.account)
    conf = {"users": [user.welkin_id], "platform": "google"}
    run_id = filled.airflow.trigger(UNSYNC, conf)
    [question] = questions(filled, UNSYNC, run_id, 1)
    assert question["subject"].startswith(f"Delete {plural(len(ours), 'synced event')} and ")
    assert user.account.lower() in question["body"]
    answer(filled, UNSYNC, run_id, question, REMOVE)
    state = filled.airflow.wait_run(UNSYNC, run_id)
    assert state == "success", told(filled, UNSYNC, run_id)
    assert google.mirrors_of(user.account) == []
    left = [event["id"] for event in google.events_of(user.account)]
    assert sorted(left) == sorted(set(own) - set(ours))
    assert google.mirrors_of(other.account) == others
    [label] = labels(filled, UNSYNC, run_id, "unsync_users")
    assert label.startswith(f"{user.account.lower()} (google): ")
    row = filled.store.config.mapped(user.welkin_id, Platform.GOOGLE)
    assert row is not None
    assert not row.enabled
    assert filled.store.audit.verify() == []
    authors = [one.author for one in filled.store.config.mapping_history()]
    assert authors[0] == f"un-sync:airflow:{USER}"


def test_the_right_to_start_dags_is_not_enough_to_take_anything_away(filled: Stage) -> None:
    user = filled.on("google").users[2]
    mirrors = filled.sandbox.google.mirrors_of(user.account)
    assert mirrors
    passwords = filled.airflow.home / "simple_auth_manager_passwords.json.generated"
    address = f"http://127.0.0.1:{filled.airflow.port}"
    conf = {"users": [user.welkin_id], "platform": "google"}
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as uma:
        login = {"username": "uma", "password": json.loads(passwords.read_text())["uma"]}
        token = uma.post("/auth/token", json=login).json()["access_token"]
        uma.headers["Authorization"] = f"Bearer {token}"
        runs = f"/api/v2/dags/{UNSYNC}/dagRuns"
        start = uma.post(runs, json={"logical_date": None, "conf": conf})
        assert start.status_code == 403, start.text
        assert "edit Airflow's connections" in start.json()["detail"]
        run_id = filled.airflow.trigger(UNSYNC, conf)
        questions(filled, UNSYNC, run_id, 1)
        time.sleep(4)
        path = f"{runs}/{quote(run_id, safe='')}/taskInstances"
        answered = {"chosen_options": [REMOVE], "params_input": {}}
        said = uma.patch(f"{path}/approve/-1/hitlDetails", json=answered)
        assert said.status_code == 403, said.text
        forged = {**answered, "responded_by_user": {"id": "ceo", "name": "ceo"}}
        told = {"key": "return_value", "value": forged, "map_index": -1}
        assert uma.post(f"{path}/approve/xcomEntries", json=told).status_code == 403
        # Her own right, for a DAG that takes nothing away, is as it was.
        assert uma.patch("/api/v2/dags/sync_health", json={"is_paused": False}).status_code == 200
    # Even an administrator's XCom and "mark success" are no answer.
    base = f"/dags/{UNSYNC}/dagRuns/{quote(run_id, safe='')}/taskInstances"
    filled.airflow.call("PATCH", f"{base}/approve", {"new_state": "success"})
    with contextlib.suppress(AirflowError):
        filled.airflow.call("POST", f"{base}/approve/xcomEntries", told)
    assert filled.airflow.wait_run(UNSYNC, run_id) == "failed"
    assert "no answer was found" in filled.airflow.logs(UNSYNC, run_id, "switch_off")
    row = filled.store.config.mapped(user.welkin_id, Platform.GOOGLE)
    assert row is not None
    assert row.enabled
    assert filled.sandbox.google.mirrors_of(user.account) == mirrors


def test_a_cleared_task_does_not_repeat_a_decision(filled: Stage) -> None:
    user = filled.on("google").users[2]
    conf = {"users": [user.welkin_id], "platform": "google"}
    run_id = filled.airflow.trigger(UNSYNC, conf)
    [question] = questions(filled, UNSYNC, run_id, 1)
    answer(filled, UNSYNC, run_id, question, REMOVE)
    assert filled.airflow.wait_run(UNSYNC, run_id) == "success", told(filled, UNSYNC, run_id)
    assert filled.sandbox.google.mirrors_of(user.account) == []
    # The user is back meanwhile.
    rows = [
        replace(row, enabled=True) if row.user_id == user.welkin_id else row
        for row in filled.store.config.mapping()
    ]
    filled.store.config.edit_mapping(lambda _: rows, "tests", datetime.now(UTC))
    clear = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": ["switch_off"],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    filled.airflow.call("POST", f"/dags/{UNSYNC}/clearTaskInstances", clear)
    assert filled.airflow.wait_run(UNSYNC, run_id) == "failed"
    assert "was used already" in filled.airflow.logs(UNSYNC, run_id, "switch_off")
    row = filled.store.config.mapped(user.welkin_id, Platform.GOOGLE)
    assert row is not None
    assert row.enabled


def test_an_unsync_without_users_is_refused(filled: Stage) -> None:
    run_id, state = run(filled, UNSYNC)
    assert state == "failed"
    assert "give either Users or Everybody" in filled.airflow.logs(UNSYNC, run_id, "ask")
    states = {t.task_id: t.state for t in filled.airflow.task_instances(UNSYNC, run_id)}
    assert states["switch_off"] == states["unsync_users"] == "upstream_failed"


# --- maintenance ----------------------------------------------------------------


def test_maintenance_is_skipped_without_a_connection_and_says_so(filled: Stage) -> None:
    run_id, state = run(filled, MAINTENANCE)
    assert state == "success"
    found = labels(filled, MAINTENANCE, run_id, "remove_old_runs")
    assert all("no connection calendar_sync_airflow" in label for label in found)


def test_old_empty_runs_go_and_working_ones_stay(filled: Stage) -> None:
    one = filled.on("google")
    one.settle()
    one.airflow.unpause(one.dag_id)
    empty = one.run()
    assert one.row(empty).summary["done"] == {}
    user, working = one.users[2], empty
    for number in range(20, 30):
        one.book(user, one.slot(number))
        working = one.run(users=[user.welkin_id])
        if one.row(working).summary["done"]:
            break  # else the schedule's own run has done it
    one.rest()
    assert one.row(working).summary["done"]
    logs = list(one.airflow.home.glob(f"logs/dag_id={one.dag_id}/run_id={empty}"))
    assert logs
    fields = {
        "conn_type": "http",
        "host": f"http://127.0.0.1:{one.airflow.port}",
        "login": USER,
        "password": one.airflow.password,
    }
    one.airflow.add_connection("calendar_sync_airflow", fields)
    _age(one, [empty, working], days=8)
    run_id, state = run(one, MAINTENANCE)
    assert state == "success"
    left = {entry["dag_run_id"] for entry in one.airflow.runs(one.dag_id, newest=200)}
    assert working in left
    assert empty not in left, told(one, MAINTENANCE, run_id)
    found = labels(one, MAINTENANCE, run_id, "remove_old_runs")
    assert f"{one.dag_id}: 1 empty, 0 other runs removed" in found
    # Each worker removes its own files, once a day, at the end of a run of the sync.
    long_ago = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    os.utime(logs[0], (long_ago, long_ago))
    (one.airflow.home / "logs" / TIDIED).unlink(missing_ok=True)
    one.airflow.unpause(one.dag_id)
    one.run()
    one.rest()
    assert not logs[0].exists()
    _age(one, [working], days=91)
    run(one, MAINTENANCE)
    left = {entry["dag_run_id"] for entry in one.airflow.runs(one.dag_id, newest=200)}
    assert working not in left


def _age(stage: Stage, run_ids: list[str], days: int) -> None:
    """Make runs as old as that in both databases."""
    then = datetime.now(UTC) - timedelta(days=days)
    text = then.strftime("%Y-%m-%d %H:%M:%S.%f")
    with contextlib.closing(
        sqlite3.connect(stage.airflow.home / "airflow.db", timeout=60)
    ) as connection:
        for run_id in run_ids:
            connection.execute(
                "UPDATE dag_run SET end_date = ?, start_date = ? WHERE run_id = ?",
                (text, text, run_id),
            )
        connection.commit()
    with stage.database.write() as connection:
        for run_id in run_ids:
            connection.exec_driver_sql(
                "UPDATE sync_run SET started_at = ?, ended_at = ? WHERE run_id = ?",
                (text, text, run_id),
            )


# --- nothing leaks --------------------------------------------------------------


def test_no_patient_data_and_no_secret_is_anywhere(filled: Stage, mailbox: Mailbox) -> None:
    sent = "\n".join(body_of(mail) for mail in mailbox.mails).encode()
    assert sent
    places = [("mail", sent), *contents(filled.airflow.home)]
    assert leaks(places, [*sorted(filled.sandbox.canaries), KEY, SECRET]) == []


# --- a lost state database --------------------------------------------------------


def test_a_lost_state_database_is_filled_again_and_nothing_is_there_twice(filled: Stage) -> None:
    """The last test of the file: the database that the others look at is gone afterwards."""
    store, world = filled.store, filled.world
    rows = [replace(row, enabled=True) for row in store.config.mapping()]
    settings = store.config.revision().settings
    both = [filled.on(platform.value) for platform in Platform]
    # Whoever was un-synced above comes back first.
    store.config.edit_mapping(lambda _: rows, "tests", datetime.now(UTC))
    for one in both:
        one.settle()
    assert world.summary()["duplicates"] == 0
    # At the far end of the window an occurrence may come into it at any hour.
    until = datetime.now(UTC) + timedelta(days=100)
    ids = _ids(filled, until)
    filled.database.close()
    for path in filled.airflow.home.glob("calendar_sync.db*"):
        path.unlink()
    upgrade(filled.database)
    store.config.save_settings(settings, "tests", datetime.now(UTC))
    store.config.edit_mapping(lambda _: rows, "tests", datetime.now(UTC))
    for one in both:
        one.settle()
    assert _ids(filled, until) == ids
    assert world.summary()["duplicates"] == 0
    assert store.runs.pending() == []


def _ids(stage: Stage, until: datetime) -> tuple[list[str], list[str]]:
    """Ids of all mirrors, and of all blocks that stand and start before `until`."""
    sandbox = stage.sandbox
    mirrors = [
        seen.id
        for calendars in (sandbox.google, sandbox.microsoft)
        for account in calendars.accounts
        for seen in calendars.mirrors(account)
    ]
    blocks = [
        event.id
        for event in sandbox.welkin.events.values()
        if (event.external_id or "").startswith("calsync-")
        and not event.cancelled
        and event.start < until
    ]
    return sorted(mirrors), sorted(blocks)
