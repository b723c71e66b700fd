"""The person's own page on a phone: read, a day asked about, paused and resumed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from calendar_sync.core.model import Platform
from tests.e2e.browser.conftest import sign_in
from tests.e2e.browser.test_pages import WIDTHS, serious

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from calendar_sync_sandbox.demo.world import User
    from tests.e2e.airflow.stage import Stage

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("browser")]
WIDTH = 390


@pytest.fixture(scope="module")
def person(stage: Stage) -> User:
    """Somebody whose calendar is synced, and who may only look in Airflow."""
    return stage.on("google").users[-1]


@pytest.fixture(scope="module")
def phone(chromium: Browser, stage: Stage, person: User) -> Iterator[Page]:
    """This person's browser."""
    file: Path = stage.airflow.home / "simple_auth_manager_passwords.json.generated"
    name = person.account.lower()
    with sign_in(chromium, stage, name, json.loads(file.read_text())[name]) as made:
        made.set_viewport_size({"width": WIDTH, "height": WIDTHS[WIDTH]})
        yield made


def opened(page: Page, path: str) -> str:
    answer = page.goto(f"/calendar-sync{path}", wait_until="load")
    assert answer is not None
    assert answer.status == 200
    return readable(page)


def readable(page: Page) -> str:
    """The text; nothing is wider than the window, and nothing keeps people out."""
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == [], scheme
    return page.inner_text("main")


def test_a_person_reads_their_own_sync_and_pauses_it(
    phone: Page, stage: Stage, person: User
) -> None:
    others = [user.account.lower() for user in stage.users if user.account != person.account]
    text = opened(phone, "/mine")
    assert person.account.lower() in text
    assert not [other for other in others if other in text]
    phone.locator("[name='day']").fill(f"{stage.slot(1).start:%Y-%m-%d}")
    phone.get_by_role("button", name="Show my appointments").click()
    phone.wait_for_url("**/mine/day?**")
    assert "My appointments on" in readable(phone)
    opened(phone, "/mine")
    phone.get_by_label("For how long").select_option("3")
    phone.get_by_role("button", name="Pause", exact=True).click()
    phone.get_by_role("status").wait_for()
    assert "Paused until" in readable(phone)
    pause = stage.store.pauses.of(person.welkin_id, Platform.GOOGLE, datetime.now(UTC))
    assert pause is not None
    assert pause.author == f"airflow:{person.account.lower()}"
    phone.get_by_role("button", name="End the pause now").click()
    phone.get_by_label("For how long").wait_for()
    ended = stage.store.pauses.of(person.welkin_id, Platform.GOOGLE, datetime.now(UTC))
    assert ended is None


def test_it_opens_from_airflows_navigation(phone: Page, person: User) -> None:
    phone.set_viewport_size({"width": 1280, "height": 900})
    phone.goto("/", wait_until="domcontentloaded")
    phone.get_by_role("link", name="My calendar sync").first.click()
    frame = phone.frame_locator("iframe").first
    frame.get_by_role("heading", level=1, name="My calendar sync").wait_for()
    assert person.account.lower() in frame.locator("main").inner_text()
