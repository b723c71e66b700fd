"""From an empty Airflow to the first synced mirror, in the browser: clicks are counted."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox import Sandbox, running
from calendar_sync_sandbox.demo.world import World
from tests.e2e.airflow.stage import SECRET, closing_state, rest
from tests.e2e.browser.conftest import DAGS, UPKEEP, forget
from tests.e2e.browser.test_pages import WHERE, WIDTHS, serious
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from calendar_sync_sandbox.standalone import StandaloneAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("browser")]
PATIENCE = 300
GOOGLE, MICROSOFT = "google_calendar_default", "microsoft_graph_default"
#: What may be asked of a person for one platform; fields of the sandbox's own addresses apart.
MOST_CLICKS, MOST_FIELDS = 12, 8


@dataclass
class Empty:
    """An Airflow that nobody has set up, and the other side."""

    sandbox: Sandbox
    world: World
    airflow: StandaloneAirflow
    folder: Path


@pytest.fixture
def empty(airflow: StandaloneAirflow, tmp_path: Path) -> Iterator[Empty]:
    sandbox = Sandbox(client_secret=SECRET)
    sandbox.welkin.rate_limit = 200
    sandbox.organise(users=5, encounters=4, microsoft="half")
    with closing_state(airflow) as database:
        forget(airflow, database)
    with running(sandbox, tmp_path / "sandbox"):
        yield Empty(sandbox, World(tmp_path / "sandbox"), airflow, tmp_path)
        for dag_id in DAGS:
            rest(airflow, dag_id)


@dataclass
class Person:
    """Somebody at the browser; `clicks` and `typed` are what the set-up asks of an organisation.

    What the sandbox needs besides (addresses of its own, its certificate) is in `extra`.
    """

    page: Page
    clicks: int = 0
    typed: int = 0
    extra: int = 0
    told: list[str] = field(default_factory=list)

    def press(self, name: str, within: str = "") -> None:
        place = self.page.locator(f"#{within}") if within else self.page.locator("main")
        place.get_by_role("button", name=name, exact=True).first.click()
        self.clicks += 1

    def fill(self, form: str, values: dict[str, str]) -> None:
        for name, value in values.items():
            self.page.locator(f"[id='{form}-{name}']").fill(value)
            self.typed += 1

    def fill_special(self, form: str, values: dict[str, str]) -> None:
        box = self.page.locator(f"form[action$='/{form}']")
        box.locator("summary", has_text="Special networks").click()
        for name, value in values.items():
            self.page.locator(f"[id='{form}-{name}']").fill(value)
        self.extra += 1 + len(values)

    def wait_done(self, step: str) -> None:
        """Until the list says that this step is done."""
        self.until(lambda: "done" in self.page.locator(f"#h-{step}").inner_text(), step)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Exception):
                if condition():
                    return
            assert time.monotonic() < deadline, f"{what}: {self.page.inner_text('main')[:3000]}"
            self.page.wait_for_timeout(200)


@pytest.fixture
def person(chromium: Browser, empty: Empty) -> Iterator[Person]:
    """An administrator of Airflow who has signed in."""
    base = f"http://localhost:{empty.airflow.port}"
    with chromium.new_context(base_url=base) as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        made = Person(page)
        page.on("pageerror", lambda error: made.told.append(str(error)))
        page.goto("/auth/login", wait_until="domcontentloaded")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").first.fill(empty.airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "login" not in url)
        made.told.clear()
        yield made
        assert made.told == []


def picture(page: Page, folder: Path, name: str) -> None:
    where = REPOSITORY / WHERE if WHERE else folder
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page) == []
        page.screenshot(path=where / f"{name}-{width}.png", full_page=bool(os.environ.get("FULL")))
    page.set_viewport_size({"width": 1280, "height": 900})


def connect_welkin(
    person: Person, fields: dict[str, Any], then: Callable[[], None] = lambda: None
) -> None:
    extra = fields["extra"]
    values = {
        "host": fields["host"],
        "tenant": extra["tenant"],
        "instance": extra["instance"],
        "client": fields["login"],
        "secret": fields["password"],
    }
    person.fill("welkin_default", values)
    person.fill_special("welkin_default", {"verify": extra["verify"]})
    person.press("Test and store", "welkin")
    then()
    person.wait_done("welkin")


def connect_google(person: Person, fields: dict[str, Any]) -> None:
    extra = fields["extra"]
    person.fill(
        GOOGLE,
        {"keyfile": extra["keyfile_dict"], "directory_admin": extra.get("directory_admin", "")},
    )
    special = {name: extra[name] for name in ("api_root", "directory_root", "verify")}
    person.fill_special(GOOGLE, special)
    form = person.page.locator(f"form[action$='/{GOOGLE}']")
    form.get_by_role("button", name="Test and store").click()
    person.clicks += 1


def connect_microsoft(person: Person, fields: dict[str, Any]) -> None:
    extra = fields["extra"]
    values = {
        "tenant_id": extra["tenant_id"],
        "client": fields["login"],
        "secret": fields["password"],
    }
    person.fill(MICROSOFT, values)
    special = {"host": fields["host"], "authority": extra["authority"], "verify": extra["verify"]}
    person.fill_special(MICROSOFT, special)
    form = person.page.locator(f"form[action$='/{MICROSOFT}']")
    form.get_by_role("button", name="Test and store").click()
    person.clicks += 1


@pytest.mark.parametrize("platform", ["google", "microsoft"])
def test_from_an_empty_airflow_to_the_first_synced_mirror(
    empty: Empty, person: Person, platform: str
) -> None:
    page, world = person.page, empty.world
    begun = time.monotonic()
    # Notices that the state database is gone.
    page.goto("/calendar-sync/", wait_until="load")
    answer = page.goto("/calendar-sync/", wait_until="load")
    assert answer is not None
    assert answer.status == 200
    person.press("Create them", "prepare")
    person.wait_done("prepare")
    assert (empty.airflow.home / "calendar_sync.db").exists()
    picture(page, empty.folder, "setup")

    # A wrong secret is told as that, and what was typed stays in the form.
    welkin = world.connections["welkin_default"]
    connect_wrongly(page, welkin)
    connect_welkin(person, welkin)

    name = GOOGLE if platform == "google" else MICROSOFT
    (connect_google if platform == "google" else connect_microsoft)(person, world.connections[name])
    person.wait_done("calendars")
    picture(page, empty.folder, "setup-privacy")

    # Left, and resumed.
    page.goto("/calendar-sync/connections", wait_until="load")
    page.goto("/calendar-sync/", wait_until="load")
    assert page.locator("[aria-current='step']").get_attribute("id") == "privacy"
    person.press("Use this level", "privacy")
    person.wait_done("privacy")

    person.press("Find proposals", "people")
    page.locator("input[data-ticks='row']").click(timeout=PATIENCE * 1000)
    person.clicks += 1
    person.press("Add selected")
    person.wait_done("people")

    person.press("Preview", "dry_run")
    person.wait_done("dry_run")
    said = page.locator("#dry_run").inner_text()
    assert " events for calendars" in said

    person.press("Start the test", "selftest")
    person.wait_done("selftest")

    person.press("Switch on the sync", "switch_on")
    person.wait_done("switch_on")
    picture(page, empty.folder, "setup-done")
    for dag_id in (f"{platform}_calendar_sync", *UPKEEP):
        assert empty.airflow.call("GET", f"/dags/{dag_id}")["is_paused"] is False
    other = {"google": "microsoft", "microsoft": "google"}[platform]
    assert empty.airflow.call("GET", f"/dags/{other}_calendar_sync")["is_paused"] is True

    # In an Airflow that has just synced another organisation, the next run may be minutes away.
    empty.airflow.trigger(f"{platform}_calendar_sync")
    mirrors = empty.sandbox.google if platform == "google" else empty.sandbox.microsoft
    accounts = [user.account for user in world.users(platform)]
    person.until(lambda: all(mirrors.mirrors_of(each) for each in accounts), "mirrors")
    seconds = time.monotonic() - begun
    person.until(lambda: runs_shown(page), "the overview")
    print(
        f"\nset-up of {platform}: {person.clicks} clicks, {person.typed} fields typed or pasted, "
        f"0 shells, {seconds:.0f} s (for the sandbox's addresses: {person.extra} more)"
    )
    assert person.clicks <= MOST_CLICKS
    assert person.typed <= MOST_FIELDS
    no_secret_is_anywhere(empty)


def connect_wrongly(page: Page, fields: dict[str, Any]) -> None:
    """As `connect_welkin`, with another secret."""
    person = Person(page)
    wrong = {**fields, "password": "not-the-secret"}
    with contextlib.suppress(NotDone):
        connect_welkin(person, wrong, lambda: refused(page))
    said = page.locator("#r-welkin_default").inner_text()
    assert "welkin_unauthorized" in said
    assert page.locator("[id='welkin_default-client']").input_value() == fields["login"]
    page.locator("form[action$='/welkin_default'] summary").click()


def refused(page: Page) -> None:
    page.locator("#r-welkin_default .notice").wait_for()
    raise NotDone


class NotDone(Exception):
    """The step is not done, as it should be."""


def runs_shown(page: Page) -> bool:
    page.goto("/calendar-sync/", wait_until="load")
    return page.locator("h1").inner_text() == "Overview" and page.locator("#runs").is_visible()


def no_secret_is_anywhere(empty: Empty) -> None:
    """Not in the logs, nor in the state database, nor in Airflow's own record of actions."""
    key = empty.world.connections[GOOGLE]["extra"]["keyfile_dict"]
    secrets = [SECRET, empty.world.connections[MICROSOFT]["password"], key[200:240]]
    files = [
        each
        for each in empty.airflow.home.rglob("*")
        if each.is_file() and each.suffix not in {".py", ".pyc"} and each.name != "airflow.db"
    ]
    assert len(files) > 3
    for file in files:
        content = file.read_bytes()
        assert not [one for one in secrets if one.encode() in content], file
    with sqlite3.connect(f"file:{empty.airflow.home}/airflow.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT event, extra FROM log").fetchall()
    assert any("connection" in event for event, _ in rows), "Airflow has recorded who stored what"
    for event, extra in rows:
        assert not [one for one in secrets if one in str(extra)], event
