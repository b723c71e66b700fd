"""Long work neither blocks the server nor runs away."""

import asyncio
import time

import pytest

from calendar_sync.admin.web import jobs
from calendar_sync.admin.web.jobs import AT_ONCE, Job, Jobs
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.codes import GoogleCode
from calendar_sync.core.errors import TenantMisconfigured


def ended(job: Job) -> Job:
    while job.state == "running":
        time.sleep(0.01)
    return job


async def forever(job: Job) -> None:
    job.progress(1, 2)
    await asyncio.sleep(600)


def test_a_job_is_cancelled_at_once() -> None:
    job = Jobs().start("kind", "something", forever)
    job.cancel()
    assert ended(job).state == "cancelled"


def test_so_many_at_once_and_no_more() -> None:
    all_of_them = Jobs()
    running = [all_of_them.start("kind", f"work {n}", forever) for n in range(AT_ONCE)]
    with pytest.raises(Problem, match="work 0"):
        all_of_them.start("kind", "one more", forever)
    for job in running:
        job.cancel()
        ended(job)
    ended(all_of_them.start("kind", "again", done))


async def done(job: Job) -> int:
    return 7


def test_a_failure_is_reported_without_a_foreign_text() -> None:
    async def foreign(job: Job) -> None:
        raise RuntimeError("Nora Patient")

    async def ours(job: Job) -> None:
        raise TenantMisconfigured(GoogleCode.UNAUTHORIZED_CLIENT, detail="the delegation")

    found = ended(Jobs().start("kind", "x", foreign))
    assert found.state == "failed"
    assert "Nora" not in found.problem
    found = ended(Jobs().start("kind", "x", ours))
    assert found.problem == (
        "The delegation; the domain-wide delegation lacks the client or its scope: "
        "see docs/setup-google.md. (google_unauthorized_client)"
    )


def test_a_job_ends_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MINUTES", 0.0005)
    assert "longer than" in ended(Jobs().start("kind", "x", forever)).problem


def test_what_was_found_before_the_time_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def some(job: Job) -> int:
        job.result = 3
        await asyncio.sleep(600)
        return 7

    monkeypatch.setattr(jobs, "MINUTES", 0.0005)
    found = ended(Jobs().start("kind", "x", some))
    assert (found.state, found.result) == ("done", 3)
    assert "longer than" in found.problem


def test_a_job_is_found_by_its_kind_and_forgotten_later(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = Jobs()
    job = ended(all_of_them.start("kind", "x", done))
    assert all_of_them.find(job.id, "kind") is job
    assert job.result == 7
    with pytest.raises(Problem):
        all_of_them.find(job.id, "other")
    monkeypatch.setattr(jobs, "KEPT_SECONDS", -1.0)
    ended(all_of_them.start("kind", "y", done))
    with pytest.raises(Problem):
        all_of_them.find(job.id, "kind")
