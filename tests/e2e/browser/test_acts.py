"""What an administrator does in the browser, and what the next run makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from calendar_sync.core.model import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.e2e.airflow.stage import Stage

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("browser")]
GOOGLE = "google"


def opened(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    answer = page.goto(f"/calendar-sync{path}", wait_until="load")
    assert answer is not None
    assert answer.status == 200


def run(stage: Stage) -> set[str]:
    """The DAG, switched on for one run; how that one ended, and those that the schedule made."""
    start = datetime.now(UTC)
    stage.airflow.unpause(stage.dag_id)
    stage.run()
    stage.rest()
    return {stage.state(run_id) for run_id in stage.runs(start)}


def run_until(stage: Stage, condition: Callable[[], bool]) -> set[str]:
    """Runs, until this holds; how they ended.

    A run that is asked for may find that another has the user: then the next one obeys.
    """
    ended = set()
    while not condition():
        ended |= run(stage)
    return ended


def test_a_setting_is_changed_and_the_next_run_obeys_it(page: Page, stage: Stage) -> None:
    one = stage.on(GOOGLE)
    user = one.users[0]
    before = one.sandbox.google.mirrors_of(user.account)
    assert {mirror["summary"] for mirror in before} == {"Busy"}
    opened(page, "/settings")
    page.locator("[name='mirror_content.busy_title']").fill("Occupied <b>")
    page.get_by_role("button", name="Review the change").click()
    page.wait_for_url("**/settings/review")
    assert "Event details: Fixed title" in page.inner_text("main")
    page.get_by_role("button", name="Preview the effect").click()
    effect = page.locator("#effect-found")
    effect.locator(".result, .mistake").first.wait_for(timeout=60_000)
    assert "This change affects 6 users: 42 synced events updated" in effect.inner_text()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").wait_for()
    assert "Applies from the next sync" in page.inner_text("main")
    assert one.store.config.revision().author == "airflow:admin"

    def titles() -> set[str]:
        return {mirror["summary"] for mirror in one.sandbox.google.mirrors_of(user.account)}

    assert run_until(one, lambda: titles() == {"Occupied <b>"}) == {"success"}
    opened(page, "/settings/history")
    assert "admin" in page.inner_text("main")


def test_a_brake_is_approved_and_the_next_run_goes_on(page: Page, stage: Stage) -> None:
    one = stage.on(GOOGLE)
    user = one.users[0]

    def mirrors() -> int:
        return len(one.sandbox.google.mirrors_of(user.account))

    before = mirrors()
    slot = one.slot(30)
    start, end = slot.start, slot.end
    event = one.sandbox.welkin.book_event(user.welkin_id, start, end)
    assert run_until(one, lambda: mirrors() == before + 1) == {"success"}
    # Gone without a trace but in the audit: the removal rests on absence, and the brake is at 0.
    one.sandbox.welkin.delete_event(event.id)
    run_until(one, lambda: bool(one.store.runs.pending()))
    assert [waiting.reason for waiting in one.store.runs.pending()] == ["brake"]
    assert mirrors() == before + 1
    opened(page, "/attention")
    assert user.account.lower() in page.inner_text("main")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Approve selected").click()
    page.get_by_role("status").wait_for()
    assert "Nothing needs your approval" in page.inner_text("main")
    assert run_until(one, lambda: mirrors() == before) == {"success"}


def test_a_failed_user_is_retried_and_turns_green(page: Page, stage: Stage) -> None:
    one = stage.on(GOOGLE)
    user = one.users[1]
    one.sandbox.google.revoke(user.account)
    one.book(user, one.slot(31))

    def retry_at() -> datetime | None:
        return one.store.marks.of(user.welkin_id, Platform.GOOGLE).retry_at

    # The back-off has not passed: only a person's word makes the next run try.
    assert "failed" in run_until(one, lambda: retry_at() is not None)
    opened(page, f"/users/{user.welkin_id}")
    card = page.locator("section", has=page.get_by_role("heading", name="Google")).first
    assert "retrying" in card.inner_text()
    one.sandbox.google.restore(user.account)
    card.get_by_role("button", name="Retry").click()
    page.get_by_role("status").wait_for()
    slot = one.slot(31)
    run_until(one, lambda: len(one.world.mirrors(user, slot)) == 1)
    opened(page, f"/users/{user.welkin_id}")
    card = page.locator("section", has=page.get_by_role("heading", name="Google")).first
    assert "ok" in card.inner_text()


def test_a_row_of_the_mapping_is_switched_off_and_on(page: Page, stage: Stage) -> None:
    one = stage.on(GOOGLE)
    user = one.users[2]
    opened(page, "/mapping")
    row = page.locator("tr", has_text=user.account.lower()).first
    row.get_by_role("link", name="Disable").click()
    # It asks first, and names whom it is about.
    page.get_by_role("heading", name=f"Disable {user.account.lower()}?").wait_for()
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("status").wait_for()
    gone = run_until(one, lambda: one.sandbox.google.mirrors_of(user.account) == [])
    assert gone == {"success"}
    opened(page, "/mapping")
    row = page.locator("tr", has_text=user.account.lower()).first
    row.get_by_role("button", name="Enable").click()
    page.get_by_role("status").wait_for()
    back = run_until(one, lambda: bool(one.sandbox.google.mirrors_of(user.account)))
    assert back == {"success"}


def test_a_connection_is_tested_and_no_secret_is_shown(page: Page, stage: Stage) -> None:
    opened(page, "/connections")
    text = page.inner_text("main")
    assert "welkin_default" in text
    page.get_by_role("button", name="Test").first.click()
    page.locator("main").get_by_text("works", exact=False).first.wait_for(timeout=30_000)
    shown = page.content()
    assert stage.sandbox.client_secret not in shown
    assert stage.sandbox.google.keyfile()["private_key"][40:80] not in shown
