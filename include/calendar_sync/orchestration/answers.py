"""What a person has answered in Airflow: by Airflow's own record of it, once, and soon.

Whoever may edit a DAG may change its XComs and clear its tasks, so nothing is decided by them. The
task that asks notes in the state database what it asks about; when Airflow goes on with it and
tells it (and no other task) what it has recorded as the answer, it notes that, too. The next task
takes it from there, and then it is gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import iso
from calendar_sync.orchestration.running import with_store
from calendar_sync.state import Store

SOON = timedelta(minutes=30)
#: Unused answers are deleted after as long as runs are kept.
KEPT = timedelta(days=90)
ANSWERS, PERMITS = "answers", "permits"


@dataclass(frozen=True)
class HumanAnswer:
    """One answer; `about` is what the question was about when it was shown.

    `author` is empty if there was no answer in time, which never counts as a yes.
    """

    choice: str
    author: str
    at: datetime
    about: Any


def asked(context: Mapping[str, Any], about: Any) -> None:
    """Note what this task asks about."""
    with_store(lambda store: _note(store, ANSWERS, _key(context), {"about": about}))


def answered(context: Mapping[str, Any], event: Mapping[str, Any], yes: str, no: str) -> None:
    """Note what Airflow says was answered to this task's own question.

    `event` is what its API server made of its record when it woke the task: no XCom, and nothing
    that its API lets anybody write.

    Where a question has a default, Airflow takes `no` without a person once its time is over.

    Raises:
        ConfigurationError: no person has said yes, or too long ago.
    """
    chosen, person, at = (
        event.get(name) for name in ("chosen_options", "responded_by_user", "responded_at")
    )
    name = person.get("name") or person.get("id") if isinstance(person, Mapping) else None
    if not (chosen == [no] or (name and chosen == [yes])):
        raise ConfigurationError(detail="Airflow has no record of an answer")
    if not isinstance(at, datetime):
        raise ConfigurationError(detail="Airflow's record does not say when it was answered")
    _refuse_old(at)
    answer = {
        "choice": chosen[0],
        "author": f"airflow:{name}"[:255] if name else "",
        "at": iso(at),
    }

    def work(store: Store) -> None:
        question = store.runs.facts(ANSWERS).get(_key(context)) or {"about": None}
        _note(store, ANSWERS, _key(context), question | answer)

    with_store(work)


def take(context: Mapping[str, Any]) -> HumanAnswer:
    """The answer to the question of this run, of this map index; it can be used only once.

    Raises:
        ConfigurationError: there is none (any more), or it was given too long ago.
    """
    found = with_store(lambda store: store.runs.take_fact(ANSWERS, _key(context)))
    if found is None or "choice" not in found:
        raise ConfigurationError(
            detail="no answer was found, or it was used already: start the DAG again"
        )
    at = datetime.fromisoformat(found["at"])
    _refuse_old(at)
    return HumanAnswer(found["choice"], found["author"], at, found["about"])


def permit(run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Remember whom a run may un-sync: rows with `user_id`, `platform` and `account`."""
    value = {"accounts": [_account(row) for row in rows]}
    with_store(lambda store: _note(store, PERMITS, run_id, value))


def require_permitted(run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse rows that the answer to this run's question was not about.

    Raises:
        ConfigurationError: there are some.
    """
    found = with_store(lambda store: store.runs.facts(PERMITS)).get(run_id) or {"accounts": []}
    if any(_account(row) not in found["accounts"] for row in rows):
        raise ConfigurationError(detail="this was not approved: start the DAG again")


def _note(store: Store, place: str, key: str, value: dict[str, Any]) -> None:
    now = SystemClock().now()
    for other, one in store.runs.facts(place).items():
        if now - datetime.fromisoformat(one["noted"]) > KEPT:
            store.runs.take_fact(place, other)
    store.runs.set_facts(place, **{key: value | {"noted": iso(now)}})


def _refuse_old(at: datetime) -> None:
    if SystemClock().now() - at > SOON:
        raise ConfigurationError(
            detail=f"the answer is older than {SOON.seconds // 60} minutes: start the DAG again"
        )


def _account(row: Mapping[str, Any]) -> list[str]:
    return [str(row[name]) for name in ("user_id", "platform", "account")]


def _key(context: Mapping[str, Any]) -> str:
    instance = context["ti"]
    return f"{instance.dag_id}/{context['run_id']}/{instance.map_index}"
