"""The page of a person: theirs by their sign-in alone, and nothing of anybody else."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from sqlalchemy import insert, update
from starlette.testclient import TestClient

from calendar_sync.admin.mine import words
from calendar_sync.admin.security import addresses_of
from calendar_sync.admin.web import forgery
from calendar_sync.config.settings import parse
from calendar_sync.core.codes import all_codes
from calendar_sync.core.model import (
    Choices,
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Span,
    WelkinUser,
)
from calendar_sync.insight.explain import words as explain_words
from calendar_sync.insight.own import users_with
from calendar_sync.insight.user_state import UserState
from calendar_sync.planner.mirrors import NO_MIRROR
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from tests.engine.admin.outside import outside
from tests.engine.admin.stage import OPERATOR, SITE, VIEWER, Pages, csrf, token
from tests.engine.admin.test_guard import routes

NOW = datetime.now(UTC)
GOOGLE, MICROSOFT = Platform.GOOGLE, Platform.MICROSOFT
#: Ada and Bob, each with something of their own that the other must not see.
PEOPLE = {"ada": "ada@example.org", "bob": "bob@example.org"}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')


@pytest.fixture
def everybody(store: Store) -> Store:
    mapped = [MappedUser(f"w-{name}", GOOGLE, account) for name, account in PEOPLE.items()]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    for name in PEOPLE:
        trouble(store, name)
    return store


def trouble(store: Store, name: str) -> None:
    """A conflict and a failed item of this user."""
    user_id, visit = f"w-{name}", f"visit-of-{name}"
    start = datetime(2031, 5, 6, 7 if name == "ada" else 19, 0, tzinfo=UTC)
    link = MirrorLink(
        user_id=user_id,
        platform=GOOGLE,
        account=PEOPLE[name],
        calendar="primary",
        appointment_id=visit,
        generation=1,
        state=LinkState.LIVE,
        mirror_id=f"mirror-{name}",
        span=Span(start, start + timedelta(hours=1)),
    )
    at = {"first_at": NOW, "last_at": NOW, "original_start": ""}
    item = {"user_id": user_id, "platform": "google", "source_id": visit, **at}
    with store.database.write() as connection:
        store.links.save(connection, link, NOW, 1)
        connection.execute(
            insert(t.conflict),
            [{**item, "kind": "mirror_moved", "decision": "restored", "times": 2}],
        )
        row = {**item, "step": "update_mirror", "code": "google_refused", "tries": 3}
        connection.execute(insert(t.parked_item), [{**row, "content": "", "transient": False}])


@contextmanager
def signed_in(pages: Pages, name: str, role: str | None = None) -> Iterator[TestClient]:
    """A browser of somebody with this user name; without a role Airflow lets them do nothing."""
    with pages.browser() as client:
        client.cookies.set("_token", token(role, name))
        yield client


def words_of(text: str) -> str:
    return text.replace("<wbr>", "")


# --- whose page it is --------------------------------------------------------------------------


@pytest.mark.parametrize("role", [None, VIEWER, OPERATOR])
@pytest.mark.usefixtures("everybody")
def test_whoever_can_sign_in_sees_their_own_sync_alone(pages: Pages, role: str | None) -> None:
    with signed_in(pages, "Ada@Example.org", role) as client:
        answer = client.get("/mine")
        assert answer.status_code == 200
        text = words_of(answer.text)
        assert "ada@example.org" in text
        assert "2031-05-06 07:00" in text
        assert "The synced event was moved in the calendar." in text
        for others in ("bob@", "w-bob", "visit-of-bob", "2031-05-06 19"):
            assert others not in text, others


def test_an_address_in_welkin_is_as_good_as_that_of_the_mailbox(
    everybody: Store, pages: Pages
) -> None:
    staff = [WelkinUser("w-bob", "Robert@clinic.example", None, True, "")]
    everybody.config.save_welkin_users(staff, NOW)
    with signed_in(pages, "robert@CLINIC.example") as client:
        text = words_of(client.get("/mine").text)
    assert "bob@example.org" in text
    assert "ada@" not in text


@pytest.mark.parametrize(
    "name", ["guest", "nobody@example.org", "ada", "w-ada", "ada@example.org.evil.example", "%@%"]
)
@pytest.mark.usefixtures("everybody")
def test_who_is_not_mapped_is_told_what_to_do(pages: Pages, name: str) -> None:
    with signed_in(pages, name) as client:
        answers = [client.get("/mine"), client.get("/mine/day?day=2031-05-06")]
        form = {forgery.FIELD: csrf(client, "/mine"), "days": "3"}
        answers += [client.post(f"/mine/{what}", data=form) for what in ("pause", "resume")]
    for answer in answers:
        assert answer.status_code == 404
        assert "No synced calendar belongs to your sign-in" in answer.text
        assert "ask the administrator" in answer.text
        assert "example.org" not in words_of(answer.text).replace(name, "")


def test_who_fits_several_users_sees_none_of_them(everybody: Store, pages: Pages) -> None:
    # The address of Ada's mailbox is Bob's in Welkin.
    staff = [WelkinUser("w-bob", "ada@example.org", None, True, "")]
    everybody.config.save_welkin_users(staff, NOW)
    with signed_in(pages, "ada@example.org") as client:
        answer = client.get("/mine")
        assert answer.status_code == 404
        assert "fits 2 synced users" in answer.text
        assert "w-" not in answer.text
        form = {forgery.FIELD: csrf(client, "/mine"), "days": "3"}
        assert client.post("/mine/pause", data=form).status_code == 404
    assert everybody.pauses.current(GOOGLE, NOW) == {}


@pytest.mark.usefixtures("everybody")
def test_every_other_route_stays_closed_to_who_has_no_rights(pages: Pages) -> None:
    seen = 0
    with signed_in(pages, "ada@example.org") as client:
        form = {forgery.FIELD: csrf(client, "/mine")}
        for method, path in routes(pages.app):
            if path.startswith(("/mine", "/static/")):
                continue
            seen += 1
            for data in (None, form if method not in {"GET", "HEAD"} else None):
                answer = client.request(method, path, data=data)
                assert answer.status_code == 403, (method, path)
        for path in ("/minerals", "/mine/../users", "//mine/users", "/mine%2f..%2fusers", "/Mine"):
            answer = client.get(path)
            assert answer.status_code in {403, 404}, path
            assert "bob@" not in words_of(answer.text)
        assert client.post("/static/1/admin.css", data=form).status_code == 403
    assert seen > 40


FORGED = "user_id=w-bob&user=w-bob&account=bob@example.org&email=bob@example.org&id=w-bob&q=bob"


@pytest.mark.parametrize("role", [None, OPERATOR])
def test_no_request_can_name_another_user(everybody: Store, pages: Pages, role: str | None) -> None:
    headers = dict.fromkeys(
        ("x-user", "x-remote-user", "x-forwarded-user", "remote-user", "from"), "bob@example.org"
    )
    with signed_in(pages, "ada@example.org", role) as client:
        client.cookies.set("user_id", "w-bob")
        for path in (f"/mine?{FORGED}", "/mine"):
            text = words_of(client.get(path, headers=headers).text)
            assert "ada@example.org" in text
            assert "visit-of-bob" not in text
            assert "bob@example.org" not in text
        form = {forgery.FIELD: csrf(client, "/mine"), "days": "3", "user_id": "w-bob"}
        form |= {"user": "w-bob", "account": "bob@example.org"}
        answer = client.post(
            f"/mine/pause?{FORGED}", data=form, headers=headers, follow_redirects=False
        )
        assert answer.status_code == 303
        assert list(everybody.pauses.current(GOOGLE, NOW + timedelta(hours=1))) == ["w-ada"]
        for path in ("/mine/w-bob", "/mine/w-bob/pause", "/mine/pause/w-bob"):
            assert client.post(path, data=form).status_code == 404
        client.post(f"/mine/resume?{FORGED}", data=form, headers=headers)
    assert everybody.pauses.current(GOOGLE, NOW + timedelta(hours=1)) == {}


class Person(BaseUser):
    """As an auth manager has it."""

    def __init__(self, name: str, **more: Any) -> None:
        self.name = name
        vars(self).update(more)

    def get_id(self) -> str:
        return "7"

    def get_name(self) -> str:
        return self.name


def jwt(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.signature"


@pytest.mark.parametrize(
    ("user", "addresses"),
    [
        (Person("dana"), set()),
        (Person("Dana@Example.org "), {"dana@example.org"}),
        (Person("dana", email="Dana@example.org"), {"dana@example.org"}),
        (Person("d@x.org", email="dana@example.org"), {"d@x.org", "dana@example.org"}),
        (Person("dana", email=None), set()),
        (Person("dana", access_token=jwt(email="a@b.c", email_verified=True)), {"a@b.c"}),
        (Person("dana", access_token=jwt(email="a@b.c", email_verified=False)), set()),
        (Person("dana", access_token=jwt(email="a@b.c")), set()),
        (Person("dana", access_token=jwt(email=["a@b.c"], email_verified=True)), set()),
        (Person("dana", access_token="x.\x00.y"), set()),
        (Person("dana", access_token="none"), set()),
        (Person("dana", access_token="e30.WzFd.s"), set()),
    ],
)
def test_the_auth_manager_vouches_for_addresses(user: BaseUser, addresses: set[str]) -> None:
    assert addresses_of(user) == addresses


def test_nobody_has_no_address(everybody: Store) -> None:
    assert users_with(everybody, set()) == []
    assert users_with(everybody, {"ADA@example.ORG"}) == ["w-ada"]


# --- what it says -------------------------------------------------------------------------------


def test_what_is_wrong_is_said_with_whose_it_is(everybody: Store, pages: Pages) -> None:
    with everybody.database.write() as connection:
        connection.execute(
            update(t.user_sync)
            .where(t.user_sync.c.user_id == "w-ada")
            .values(failures=4, attention=True, error_code="google_account_refused")
        )
    with signed_in(pages, "ada@example.org") as client:
        text = client.get("/mine").text
    assert words.STATES[UserState.NEEDS_ATTENTION] in text
    assert "Who can fix it" in text
    assert "needs attention" in text


def test_every_state_outcome_and_code_has_plain_words() -> None:
    assert words.STATES.keys() == set(UserState)
    assert explain_words.MIRROR.keys() | NO_MIRROR.keys() <= words.OUTCOMES.keys()
    assert words.outcome("of a later version") == words.OTHER
    for code in all_codes():
        assert words.responsible(code)
    for text in (*words.STATES.values(), *words.OUTCOMES.values(), words.OTHER):
        assert not re.search(r"`|_|\bmirrors?\b|\bcycle|\bcursor|\bpoll", text), text


@pytest.mark.usefixtures("everybody")
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(pages: Pages) -> None:
    with signed_in(pages, "ada@example.org") as client:
        answer = client.get("/mine")
        static = re.findall(r'(?:src|href)="(/calendar-sync/static/[^"]+)"', answer.text)
        assert static
        for address in static:
            assert client.get(f"{SITE}{address}").status_code == 200, address
    text = answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    # Who may see nothing else is offered nothing else.
    assert "<nav" not in text
    links = set(re.findall(r'href="(/calendar-sync/(?!static/)[^"]*)"', text))
    assert links <= {"/calendar-sync/mine"}


def test_names_are_escaped(store: Store, pages: Pages) -> None:
    name = "<script>alert(1)</script>@example.org"
    mapped = [MappedUser("w-ada", GOOGLE, name)]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    for signed in (name, "<img src=x onerror=alert(2)>"):
        with signed_in(pages, signed) as client:
            text = client.get("/mine").text
        assert "<script>alert" not in text
        assert "<img" not in text


# --- the pause ----------------------------------------------------------------------------------


def test_a_person_pauses_and_ends_it_and_operators_see_both(
    everybody: Store, pages: Pages, operator: TestClient
) -> None:
    with signed_in(pages, "ada@example.org") as client:
        form = {forgery.FIELD: csrf(client, "/mine"), "days": "3"}
        answer = client.post("/mine/pause", data=form, headers={"Origin": SITE})
        assert answer.status_code == 200
        assert "Paused until" in answer.text
        assert "End the pause now" in answer.text
        assert "Pause my sync" not in answer.text
    now = datetime.now(UTC)
    pause = everybody.pauses.of("w-ada", GOOGLE, now)
    assert pause is not None
    assert pause.author == "airflow:ada@example.org"
    assert timedelta(days=2, hours=23) < pause.until - now <= timedelta(days=3)
    listed = words_of(operator.get("/users?state=paused").text)
    assert "ada@example.org" in listed
    assert "until" in listed
    assert "bob@" not in listed
    shown = words_of(operator.get("/users/w-ada").text)
    assert "Paused by airflow:ada@example.org" in shown
    assert "Sync now" not in shown
    [entry] = operator.get("/api/v1/users/w-ada").json()
    assert (entry["state"], entry["paused_by"]) == ("paused", "airflow:ada@example.org")
    assert datetime.fromisoformat(entry["paused_until"]) == pause.until
    assert "sync paused" in operator.get("/attention").text
    with signed_in(pages, "ada@example.org") as client:
        form = {forgery.FIELD: csrf(client, "/mine")}
        answer = client.post("/mine/resume", data=form)
        assert "Pause my sync" in answer.text
        assert client.post("/mine/resume", data=form).status_code == 409
    assert everybody.pauses.current(GOOGLE, datetime.now(UTC)) == {}
    assert everybody.marks.of("w-ada", GOOGLE).marked
    assert everybody.audit.verify() == []


@pytest.mark.parametrize("days", ["0", "15", "-1", "1.5", "", "three", "1e1", "9" * 400])
def test_other_lengths_are_refused_by_name(everybody: Store, pages: Pages, days: str) -> None:
    with signed_in(pages, "ada@example.org") as client:
        form = {forgery.FIELD: csrf(client, "/mine"), "days": days}
        answer = client.post("/mine/pause", data=form)
    assert answer.status_code == 422
    assert "days" in answer.text
    assert everybody.pauses.current(GOOGLE, NOW) == {}


def test_another_site_cannot_pause_anybody(everybody: Store, pages: Pages) -> None:
    with signed_in(pages, "ada@example.org") as client:
        good = csrf(client, "/mine")
        bobs = forgery.token(pages.app.state.access.secret(), "bob@example.org", datetime.now(UTC))
        for field in ("", "x", bobs, good[:-1]):
            form = {forgery.FIELD: field, "days": "3"}
            assert client.post("/mine/pause", data=form).status_code == 403
        form = {forgery.FIELD: good, "days": "3"}
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/mine/pause", data=form, headers=headers).status_code == 403
    with pages.browser() as nobody:
        assert nobody.post("/mine/pause", data=form).status_code == 401
    assert everybody.pauses.current(GOOGLE, NOW) == {}


def test_an_operator_pauses_and_resumes_on_the_page_and_by_the_api(
    everybody: Store, pages: Pages, operator: TestClient
) -> None:
    form = {forgery.FIELD: csrf(operator), "days": "14"}
    assert "Pause the sync of this user" in operator.get("/users/w-bob").text
    answer = operator.post("/users/w-bob/pause", data=form)
    assert "Paused by airflow:OP" in answer.text
    assert operator.post("/users/w-bob/sync?platform=google", data=form).status_code == 409
    assert "Paused" not in operator.post("/users/w-bob/resume", data=form).text
    assert operator.post("/users/w-bob/resume", data=form).status_code == 409
    assert operator.post("/users/nobody/pause", data=form).status_code == 404
    with pages.script(OPERATOR) as script:
        path = "/api/v1/users/w-bob/pause"
        until = script.post(f"{path}?days=1").json()["paused_until"]
        assert datetime.fromisoformat(until) > NOW + timedelta(hours=23)
        for days in ("0", "15", "-1", "1.5"):
            answer = script.post(f"{path}?days={days}")
            assert (answer.status_code, "days" in answer.json()["detail"]) == (422, True)
        assert script.delete(path).json() == {"user_id": "w-bob", "paused_until": None}
        assert script.delete(path).status_code == 409
        answer = script.post("/api/v1/users/nobody/pause?days=1")
        assert answer.status_code == 404
        assert "nobody is not mapped" in answer.json()["detail"]
    with pages.script(VIEWER) as script:
        assert script.post(f"{path}?days=1").status_code == 403
        assert script.delete(path).status_code == 403
    with pages.browser(VIEWER) as viewer:
        assert "<form" not in viewer.get("/users/w-bob").text


# --- why an appointment is there or not ---------------------------------------------------------


def test_a_day_shows_why_each_of_their_appointments_is_there_or_not(
    store: Store, pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with outside(store, tmp_path, NOW, monkeypatch) as world:
        day = (NOW + timedelta(days=3)).date()
        morning = datetime(day.year, day.month, day.day, 15, tzinfo=UTC)
        welkin, dana, ruben = world.sandbox.welkin, world.ids["dana"], world.ids["ruben"]
        welkin.book_encounter(dana, morning, morning + timedelta(hours=1))
        both = welkin.book_encounter(
            dana, morning + timedelta(hours=2), morning + timedelta(hours=3), extra_user_ids=[ruben]
        )
        welkin.cancel_event(str(both.event_id))
        welkin.book_encounter(ruben, morning, morning + timedelta(hours=1))
        with signed_in(pages, "dana@example.org") as client:
            page = words_of(client.get(f"/mine/day?day={day}&user_id={ruben}").text)
            assert client.get("/mine/day?day=").status_code == 200
            assert client.get("/mine/day?day=1970-01-01").status_code == 422
            assert client.get("/mine/day?day=soon").status_code == 422
        assert page.count(words.OUTCOMES["to_create"]) == 1
        assert page.count(words.OUTCOMES["cancelled"]) == 1
        for secret in (*world.sandbox.canaries, ruben, "ruben", "nora"):
            assert secret not in page
        writes = [entry for entry in world.sandbox.requests if entry.is_write]
    assert not [entry for entry in writes if "token" not in entry.kind]


def test_without_connections_it_says_what_is_missing(everybody: Store, pages: Pages) -> None:
    with signed_in(pages, "ada@example.org") as client:
        answer = client.get("/mine/day")
    assert answer.status_code == 503
    assert "welkin_default" in answer.text


# --- choices --------------------------------------------------------------------------------------


def allow(store: Store, *what: str) -> None:
    document = {
        "mirror_content": {"title": {"level": "type"}},
        "people_may_choose": list(what),
    }
    store.config.save_settings(parse(document), "tests", NOW)


def test_a_person_chooses_to_see_less_for_themselves_alone(everybody: Store, pages: Pages) -> None:
    allow(everybody, "level", "reminder")
    with signed_in(pages, "ada@example.org") as client:
        form = {"csrf_token": csrf(client, "/mine"), "level": "busy", "reminder": "15"}
        forged = {**form, "user_id": "w-bob", "user": "bob@example.org"}
        answer = client.post("/mine/choices", data=forged, headers={"Origin": SITE})
        assert answer.status_code == 200
        assert '<option value="busy" selected>' in answer.text
        assert '<option value="15" selected>' in answer.text
    chosen = {row.user_id: row.chosen for row in everybody.config.mapping()}
    assert chosen == {"w-ada": Choices("busy", "15"), "w-bob": Choices()}
    assert everybody.marks.of("w-ada", GOOGLE).marked


def test_a_person_chooses_a_colour(everybody: Store, pages: Pages) -> None:
    allow(everybody, "colour")
    with signed_in(pages, "ada@example.org") as client:
        shown = client.get("/mine").text
        assert '<option value="tomato">' in shown
        assert "Category in Outlook" not in shown  # there is no such calendar
        form = {"csrf_token": csrf(client, "/mine"), "colour": "tomato"}
        answer = client.post("/mine/choices", data=form, headers={"Origin": SITE})
        assert '<option value="tomato" selected>' in answer.text
    chosen = {row.user_id: row.chosen for row in everybody.config.mapping()}
    assert chosen == {"w-ada": Choices(colour="tomato"), "w-bob": Choices()}


@pytest.mark.parametrize(
    ("allowed", "form"),
    [
        (("level",), {"reminder": "15"}),
        (("level",), {"colour": "sage"}),
        (("colour",), {"colour": "mauve"}),
        (("colour",), {"category": "Blue category"}),
        (("level",), {"level": "full"}),
        (("level",), {"level": "type"}),
        (("reminder",), {"level": "busy"}),
        (("reminder",), {"reminder": "9999"}),
        ((), {"level": "busy"}),
    ],
)
def test_what_is_not_offered_is_refused(
    everybody: Store, pages: Pages, allowed: tuple[str, ...], form: dict[str, str]
) -> None:
    allow(everybody, *allowed)
    with signed_in(pages, "ada@example.org") as client:
        sent = {"csrf_token": csrf(client, "/mine"), **form}
        answer = client.post("/mine/choices", data=sent, headers={"Origin": SITE})
        assert answer.status_code == 409
        assert "is not offered" in answer.text
        assert ("What I want to see" in client.get("/mine").text) is bool(allowed)
    assert {row.chosen for row in everybody.config.mapping()} == {Choices()}
