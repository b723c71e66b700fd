"""Each page in a browser: readable at both widths, without a finding of axe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from calendar_sync.admin.web.nav import NAV
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.airflow.stage import Stage

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("browser")]

PATHS = {entry.title: entry.path for entry in NAV}
WIDTHS = {1280: 900, 390: 844}
#: `SCREENSHOTS=docs/images` writes what the pages look like; otherwise pytest's folder has them.
WHERE = os.environ.get("SCREENSHOTS", "")
SERIOUS = {"serious", "critical"}
VIOLATIONS: dict[str, Any] = {"resultTypes": ["violations"]}
#: All that colours can change.
CONTRAST = VIOLATIONS | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = REPOSITORY / WHERE if WHERE else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def opened(page: Page, path: str) -> None:
    answer = page.goto(f"/calendar-sync{path}", wait_until="domcontentloaded")
    assert answer is not None
    assert answer.status == 200
    page.wait_for_load_state("load")


def serious(page: Page, options: Mapping[str, Any] = VIOLATIONS) -> list[str]:
    """What axe finds that keeps people out, with the places."""
    return [
        f"{each['id']}: {node['html'][:200]} {node['any'][0]['message'] if node['any'] else ''}"
        for each in Axe().run(page, options=dict(options)).response["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("title", PATHS)
def test_a_page_is_readable_and_accessible(
    page: Page, stage: Stage, pictures: Path, title: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    opened(page, PATHS[title])
    assert page.locator("h1").count() == 1
    # Nothing is wider than the window: a table scrolls in its own frame.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    assert serious(page, CONTRAST) == []
    page.emulate_media(color_scheme="light")
    name = f"{title.lower().replace(' ', '-')}-{width}.png"
    page.screenshot(path=pictures / name)


def test_the_settings_are_not_endless_on_a_phone(page: Page, stage: Stage) -> None:
    """They were 11,000 pixels; what is rarely decided is folded."""
    page.set_viewport_size({"width": 390, "height": WIDTHS[390]})
    opened(page, "/settings")
    assert page.evaluate("document.documentElement.scrollHeight") < 5000
    assert page.locator("[name='direction.google']").is_visible()
    assert not page.locator("[name='limits.user_concurrency']").is_visible()
    page.get_by_role("link", name="Rates and sizes").click()
    assert page.locator("[name='limits.user_concurrency']").is_visible()
    # A template is asked for where it counts.
    template = page.locator("[name='mirror_content.title.template']")
    assert not template.is_visible()
    page.locator("[name='mirror_content.title.level']").select_option("full")
    page.get_by_role("button", name="Patient's initials").first.click()
    assert template.input_value() == "{patient_initials}"


def test_the_page_of_a_user_too(page: Page, stage: Stage, pictures: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    opened(page, f"/users/{stage.users[0].welkin_id}")
    assert stage.users[0].account in page.inner_text("main")
    assert serious(page) == []
    page.screenshot(path=pictures / "user-1280.png")


def test_it_opens_from_airflows_navigation(page: Page, pictures: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/", wait_until="domcontentloaded")
    page.get_by_role("link", name="Calendar Sync", exact=True).first.click()
    frame = page.frame_locator("iframe").first
    frame.get_by_role("heading", level=1).wait_for()
    page.screenshot(path=pictures / "airflow-1280.png")


def test_times_are_in_the_zone_of_who_looks(page: Page) -> None:
    opened(page, "/")
    shown = page.locator("time[datetime]").first
    assert shown.get_attribute("title") or ""
    assert "UTC" in (shown.get_attribute("title") or "")
