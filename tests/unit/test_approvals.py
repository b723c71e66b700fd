"""What waits for a person: few enough questions for Airflow, however much waits."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from calendar_sync.operations.approvals import Waiting, grouped
from calendar_sync.orchestration.tasks import approvals
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.harness import HMAC_KEY, IN_MEMORY, fresh

NOW = datetime(2026, 3, 2, tzinfo=UTC)
# Airflow refuses to map over more (`max_map_length`).
MOST = 1024


def entry(number: int, reason: str = "brake", platform: str = "google") -> Waiting:
    user = f"user{number % 700}@example.org"
    return Waiting(f"d{number}", platform, reason, {user: 2}, NOW - timedelta(hours=number))


@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_few_are_asked_one_by_one(count: int) -> None:
    entries = [entry(number) for number in range(count)]
    assert grouped(entries, 100) == entries


@pytest.mark.parametrize("count", [101, 1025, 20_000])
def test_thousands_are_asked_by_their_kind(count: int) -> None:
    kinds = [("brake", "google"), ("write_back", "google"), ("brake", "microsoft")]
    entries = [entry(number, *kinds[number % 3]) for number in range(count)]
    found = grouped(entries, 100)
    assert len(found) <= 100 + len(kinds) < MOST
    digests = [digest for each in found for digest in each.digest.split(",")]
    assert sorted(digests) == sorted(each.digest for each in entries)
    by_digest = {each.digest: each for each in entries}
    for each in found:
        members = [by_digest[digest] for digest in each.digest.split(",")]
        assert {(one.reason, one.platform) for one in members} == {(each.reason, each.platform)}
        assert each.since == min(one.since for one in members)
        users: Counter[str] = Counter()
        for one in members:
            users.update(one.users)
        assert each.users == users
        assert each.words.startswith(str(2 * len(members)))


def test_two_thousand_things_that_wait_are_a_hundred_questions_and_answered_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = fresh(IN_MEMORY)
    store = Store(database, HMAC_KEY)
    for number in range(2000):
        digest, user = f"d{number}", f"u{number % 7}"
        with database.write() as connection:
            row = {"digest": digest, "user_id": user, "platform": "google", "removals": 1}
            values = {**row, "reason": "write_back", "requested_at": NOW}
            connection.execute(t.approval.insert().values(**values))
    monkeypatch.setattr(approvals, "with_store", lambda work: work(store))
    asked = approvals.list_waiting()
    assert len(asked) == 100
    assert approvals.approve(asked[0]["digest"], "an admin") == 20
    assert approvals.short(asked[0]["digest"]).endswith(" and 19 more")
    assert len(store.runs.pending()) == 1980
    # Only what the person was asked about: a second answer of the same changes nothing.
    assert approvals.approve(asked[0]["digest"], "an admin") == 0
    database.close()
