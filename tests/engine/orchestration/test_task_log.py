"""What stands at the end of a failed task's log: a line for people, and no frames."""

import json
import subprocess
import sys

import pytest

from calendar_sync.core.codes import GoogleCode, NetworkCode, code_of
from calendar_sync.core.errors import (
    ConfigurationError,
    PlatformStopped,
    TenantMisconfigured,
    TransientError,
    UnexpectedError,
    UsersFailed,
)
from calendar_sync.orchestration.running import StateUnavailable
from calendar_sync.orchestration.task_log import line
from calendar_sync.orchestration.tasks import sync
from calendar_sync.sync.outcomes import OutcomeStatus, UserOutcome

# As the process of a task does it: Airflow's own set-up, and its logger is there before ours.
TASK = """
import io, json, sys
import structlog
from airflow.sdk.log import configure_logging
out = io.BytesIO()
configure_logging(json_output=True, output=out, sending_to_supervisor=True)
log = structlog.get_logger(logger_name="task")
log.info("begins")
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.errors import TenantMisconfigured
from calendar_sync.orchestration import running

def fail(error):
    try:
        with running.guarded():
            raise error
    except Exception:
        log.exception("Task failed with exception")

fail(TenantMisconfigured(WelkinCode.UNAUTHORIZED, detail="welkin.token"))
fail(KeyError("a patient's name"))
fail(TenantMisconfigured(WelkinCode.UNAUTHORIZED, detail="welkin.token"))
try:
    raise ValueError("not one of ours")
except ValueError:
    log.exception("Task failed with exception")
sys.stdout.write(out.getvalue().decode())
"""


def test_our_own_errors_are_one_line_without_frames_and_others_stay_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-c", TASK], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [row for row in rows if row["level"] == "error"]
    assert len(rows) == 4
    for row in rows[:3]:
        assert not {"error_detail", "exception", "exc_info"} & row.keys()
        assert "Traceback" not in json.dumps(row)
    refused, bug = rows[0]["event"], rows[1]["event"]
    assert "check its name and secret" in refused
    assert "the Welkin administrator" in refused or "the administrator of the sync" in refused
    assert "welkin_unauthorized" in refused
    assert "keep the log and report it" in bug
    assert "KeyError" in bug
    assert "patient" not in done.stdout
    assert "not one of ours" in json.dumps(rows[3])


@pytest.mark.parametrize(
    ("code", "what", "owner"),
    [
        ("google_account_refused", "is the address right", "Google Workspace administrator"),
        ("microsoft_no_mailbox", "assign a licence", "Microsoft 365 administrator"),
        ("welkin_access_restricted", "grant it in Welkin", "Welkin administrator"),
        ("google_unavailable", "retries automatically", "the service itself"),
        ("timeout", "did not answer in time", "the network administrator"),
        ("unexpected", "report it", "the administrator of the sync"),
        ("welkin_user_unknown", "correct the row of the mapping", "the administrator of the sync"),
    ],
)
def test_a_failed_users_line_says_who_what_whose_and_what_to_do(
    code: str, what: str, owner: str
) -> None:
    outcome = UserOutcome(
        "u-1", "dana@example.org", OutcomeStatus.FAILED, code_of(code), detail="welkin.token"
    )
    with pytest.raises(UsersFailed) as raised:
        sync.raise_failures([outcome, outcome])
    said = line(raised.value)
    assert "\n" not in said
    assert said.count("dana@example.org (u-1)") == 2
    for part in (what, owner, code):
        assert part in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigurationError(detail="connection welkin_default is missing"), "welkin_default"),
        (TransientError(NetworkCode.NO_CONNECTION, detail="welkin.export"), "the network"),
        (TenantMisconfigured(GoogleCode.INVALID_GRANT), "service account's key"),
        (PlatformStopped(detail="google: many_accounts_failing"), "many_accounts_failing"),
        (UnexpectedError(detail="KeyError at x.py:3"), "KeyError at x.py:3"),
        (UsersFailed(detail="nobody has answered: nothing was done"), "nobody has answered"),
        (StateUnavailable("OperationalError"), "CALENDAR_SYNC_DATABASE_URL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_concerns_everybody_has_a_line_too(error: Exception, words: str) -> None:
    said = line(error)
    assert words in said
    assert "\n" not in said
