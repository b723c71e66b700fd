"""What counts as a person's answer: Airflow's own record of it, once, and soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.orchestration import answers
from calendar_sync.state import Store
from tests.harness import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTEXT = {
    "run_id": "manual__1",
    "ti": SimpleNamespace(id="ti-1", dag_id="calendar_unsync", map_index=-1),
}
UMA = {"id": "7", "name": "uma"}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/state.db"
    database = fresh(url)
    made = Store(database, "key")
    monkeypatch.setenv("CALENDAR_SYNC_DATABASE_URL", url)
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "key"}')
    yield made
    database.close()


def answered(**fields: Any) -> None:
    """Airflow goes on with the question, and tells what its record says."""
    record = {
        "chosen_options": ["Remove it"],
        "responded_by_user": UMA,
        "responded_at": datetime.now(UTC),
    }
    answers.answered(CONTEXT, record | fields, "Remove it", "Leave it")


def test_an_answer_is_carried_out_once() -> None:
    answers.asked(CONTEXT, "d1")
    answered()
    found = answers.take(CONTEXT)
    assert (found.choice, found.author, found.about) == ("Remove it", "airflow:uma", "d1")
    with pytest.raises(ConfigurationError, match="was used already"):
        answers.take(CONTEXT)


def test_an_unanswered_question_decides_nothing() -> None:
    answers.asked(CONTEXT, "d1")
    with pytest.raises(ConfigurationError, match="no answer was found"):
        answers.take(CONTEXT)


@pytest.mark.parametrize(
    "fields",
    [
        {"responded_by_user": None},
        {"chosen_options": []},
        {"chosen_options": None},
        {"chosen_options": ["Remove it", "Leave it"]},
        {"chosen_options": ["Delete the lot"]},
    ],
    ids=str,
)
def test_what_no_person_has_chosen_is_no_answer(fields: dict[str, Any]) -> None:
    answers.asked(CONTEXT, "d1")
    with pytest.raises(ConfigurationError, match="no record of an answer"):
        answered(**fields)
    with pytest.raises(ConfigurationError):
        answers.take(CONTEXT)


def test_the_default_answer_after_the_time_limit_is_not_a_persons_no() -> None:
    answers.asked(CONTEXT, "d1")
    answered(chosen_options=["Leave it"], responded_by_user=None)
    found = answers.take(CONTEXT)
    assert (found.choice, found.author) == ("Leave it", "")


def test_an_old_answer_is_not_carried_out(store: Store) -> None:
    for at in (datetime.now(UTC) - timedelta(hours=1), None):
        with pytest.raises(ConfigurationError, match=r"older than 30 minutes|does not say when"):
            answered(responded_at=at)
    answered()
    key = "calendar_unsync/manual__1/-1"
    kept = store.runs.facts(answers.ANSWERS)[key]
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    store.runs.set_facts(answers.ANSWERS, **{key: kept | {"at": old}})
    with pytest.raises(ConfigurationError, match="older than 30 minutes"):
        answers.take(CONTEXT)


def test_only_those_who_were_asked_about_are_unsynced(store: Store) -> None:
    rows = [{"user_id": "u1", "platform": "google", "account": "a@example.org", "mirrors": 1}]
    with pytest.raises(ConfigurationError, match="was not approved"):
        answers.require_permitted("manual__1", rows)
    answers.permit("manual__1", rows)
    answers.require_permitted("manual__1", [rows[0] | {"mirrors": 5}])
    for change in ({"user_id": "u2"}, {"platform": "microsoft"}, {"account": "b@example.org"}):
        with pytest.raises(ConfigurationError, match="was not approved"):
            answers.require_permitted("manual__1", [rows[0] | change])


def test_an_unused_answer_is_forgotten_with_its_run(store: Store) -> None:
    noted = (datetime.now(UTC) - timedelta(days=91)).isoformat()
    store.runs.set_facts(answers.ANSWERS, **{"old": {"about": "d0", "noted": noted}})
    answers.asked(CONTEXT, "d1")
    assert list(store.runs.facts(answers.ANSWERS)) == ["calendar_unsync/manual__1/-1"]
