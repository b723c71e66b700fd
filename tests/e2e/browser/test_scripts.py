"""The script of the pages, in a browser without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Playwright's event loop stays in its thread: the same as that of the other tests in a browser.
pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("browser")]
SCRIPT = REPOSITORY / "include/calendar_sync/admin/web/static/admin.js"
FORM = """<form><label><input type="checkbox" data-ticks="row"> All</label>
<input type="checkbox" name="row" value="1"><input type="checkbox" name="row" value="2">
<input type="checkbox" name="other"></form>
<input type="checkbox" name="row" value="outside">"""


def test_one_box_ticks_all_of_its_form_by_keyboard(chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_content(FORM)
        page.add_script_tag(path=SCRIPT)

        def ticked() -> list[str]:
            found = page.evaluate("[...document.querySelectorAll(':checked')].map(x => x.value)")
            return [value for value in found if value != "on"]

        every = page.get_by_label("All")
        every.focus()
        page.keyboard.press("Space")
        assert ticked() == ["1", "2"]
        page.locator("[value='2']").uncheck()
        assert not every.is_checked()
        assert every.evaluate("box => box.indeterminate")
        page.locator("[value='2']").check()
        assert every.is_checked()
        every.uncheck()
        assert ticked() == []


def test_a_field_is_put_where_the_cursor_stands(chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_content(
            """<textarea id="t">A visit of  at home</textarea>
            <div data-fields="t" hidden><button type="button" value="{mode}">Mode</button></div>"""
        )
        page.evaluate("document.getElementById('t').setSelectionRange(11, 11)")
        page.add_script_tag(path=SCRIPT)
        page.evaluate(
            "document.addEventListener('change', event => { window.said = event.target.id })"
        )
        page.get_by_role("button", name="Mode").click()
        assert page.locator("#t").input_value() == "A visit of {mode} at home"
        # The sample of the page follows what is changed.
        assert page.evaluate("window.said") == "t"
