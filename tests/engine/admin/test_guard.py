"""Nobody gets in without the right; nothing is changed by accident or by another site."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI, Form
from starlette.datastructures import Headers
from starlette.routing import Route

from calendar_sync.admin.web import forgery
from calendar_sync.admin.web.wide_forms import LARGEST_BODY, MOST_FIELDS, WideRoute
from tests.engine.admin.stage import OPERATOR, SITE, VIEWER, Pages, csrf, token


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every (method, path) that the app answers, with values for its parameters."""
    for route in app.routes:
        assert isinstance(route, Route), f"{route} is not walked"
        path = re.sub(r"\{[^}]*\}", "1", route.path)
        for method in sorted(route.methods or ()):
            yield method, path


def walk(app: FastAPI) -> list[tuple[str, str]]:
    """Those, and what is not there."""
    found = list(routes(app))
    assert ("GET", "/") in found
    assert any(path.startswith("/static/") for _, path in found)
    return [*found, ("GET", "/nowhere"), ("GET", "/api/v1/nowhere"), ("GET", "/openapi.json")]


def test_every_route_asks_who_is_there(pages: Pages) -> None:
    with pages.browser() as nobody:
        for method, path in walk(pages.app):
            assert nobody.request(method, path).status_code == 401, (method, path)


def test_a_token_that_is_not_airflows_opens_nothing(pages: Pages) -> None:
    with pages.browser() as client:
        client.cookies.set("_token", token(OPERATOR) + "x")
        for method, path in walk(pages.app):
            assert client.request(method, path).status_code == 401, (method, path)


def own(path: str) -> bool:
    """The page of whoever is signed in (`test_mine_page`)."""
    return path == "/mine" or path.startswith("/mine/")


def test_a_user_without_rights_sees_nothing_but_their_own_page(pages: Pages) -> None:
    # A user of the simple auth manager without a role has no permission at all.
    with pages.browser() as client:
        client.cookies.set("_token", token(None, name="guest"))
        for method, path in walk(pages.app):
            answer = client.request(method, path)
            if own(path):
                assert answer.status_code in {403, 404}, (method, path)
            elif not path.startswith("/static/"):
                assert answer.status_code == 403, (method, path)


def test_a_viewer_changes_nothing_but_their_own_pause(pages: Pages) -> None:
    with pages.browser(VIEWER) as client:
        for method, path in walk(pages.app):
            if method not in {"GET", "HEAD"} and not own(path):
                answer = client.request(method, path)
                assert answer.status_code == 403, (method, path)
                assert "read access only" in answer.text


def test_a_viewer_is_given_no_token_for_changes(pages: Pages) -> None:
    with pages.browser(VIEWER) as client:
        assert 'name="csrf-token" content=""' in client.get("/").text


def test_a_bearer_token_is_a_login_too(pages: Pages) -> None:
    with pages.script(VIEWER) as client:
        assert client.get("/").status_code == 200
        assert client.post("/nowhere").status_code == 403
    with pages.script(OPERATOR) as client:
        assert client.post("/nowhere").status_code == 404


# --- requests of other sites ------------------------------------------------------------------


@pytest.fixture(name="changing")
def fixture_changing(pages: Pages) -> Pages:
    """With a route that changes something, as any page may add one."""

    @pages.app.post("/change")
    def change(said: str = Form("")) -> dict[str, str]:
        return {"said": said}

    return pages


def test_a_form_with_its_token_is_taken(changing: Pages) -> None:
    with changing.browser(OPERATOR) as client:
        form = {forgery.FIELD: csrf(client), "said": "so"}
        answer = client.post("/change", data=form, headers={"Origin": SITE})
        assert (answer.status_code, answer.json()) == (200, {"said": "so"})
        answer = client.post("/change", data=form, files={"file": b"x"})
        assert (answer.status_code, answer.json()) == (200, {"said": "so"})


def test_a_script_of_the_page_sends_it_as_a_header(changing: Pages) -> None:
    with changing.browser(OPERATOR) as client:
        headers = {forgery.HEADER: csrf(client)}
        assert client.post("/change", data={"said": "so"}, headers=headers).status_code == 200


def test_a_program_with_its_own_token_needs_none(changing: Pages) -> None:
    with changing.script(OPERATOR) as client:
        assert client.post("/change", data={"said": "so"}).status_code == 200


def test_without_a_token_nothing_is_changed(changing: Pages) -> None:
    with changing.browser(OPERATOR) as client:
        good = csrf(client)
        of_another = forgery.token(
            changing.app.state.access.secret(), "somebody", datetime.now(UTC)
        )
        old = forgery.token(
            changing.app.state.access.secret(), OPERATOR, datetime.now(UTC) - forgery.LASTS * 2
        )
        for given in ("", "x", "1.x", of_another, old, good[:-1], "é" + good):
            form = {forgery.FIELD: given}
            assert client.post("/change", data=form).status_code == 403, given
        assert client.post("/change", json={forgery.FIELD: good}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://airflow.example.evil.example"},
    ],
)
def test_another_site_is_refused_even_with_a_token(
    changing: Pages, headers: dict[str, str]
) -> None:
    with changing.browser(OPERATOR) as client:
        form = {forgery.FIELD: csrf(client)}
        assert client.post("/change", data=form, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"origin": "https://airflow.example", "host": "airflow.example"}, True),
        # A proxy that puts its own name for the server into Host: the configured address counts.
        ({"origin": "https://public.example", "host": "api-server:8080"}, True),
        ({"origin": "https://evil.example", "host": "api-server:8080"}, False),
        ({"origin": "https://evil.example", "host": "evil.example.airflow.example"}, False),
        ({"origin": "null", "host": ""}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, False),
    ],
)
def test_where_a_request_comes_from(headers: dict[str, str], same: bool) -> None:
    assert forgery.same_origin(Headers(headers), {"https://public.example"}) is same


# --- what goes in and out ---------------------------------------------------------------------


def test_a_large_body_is_refused_however_it_is_sent(changing: Pages) -> None:
    with changing.script(OPERATOR) as client:
        large = b"x" * (LARGEST_BODY + 1)
        assert client.post("/change", content=large).status_code == 413

        def pieces() -> Iterator[bytes]:
            yield from (large[:100_000] for _ in range(50))

        assert client.post("/change", content=pieces()).status_code == 413
        assert client.post("/change", headers={"Content-Length": "-1"}).status_code == 413


def test_every_page_that_is_sent_something_takes_a_large_form(pages: Pages) -> None:
    for route in pages.app.routes:
        path = getattr(route, "path", "")
        if "POST" in (getattr(route, "methods", None) or ()) and not path.startswith("/api/"):
            assert isinstance(route, WideRoute), path


def test_a_form_with_too_many_fields_is_refused(pages: Pages) -> None:
    with pages.browser(OPERATOR) as client:
        form = {forgery.FIELD: csrf(client), "digest": ["x"] * MOST_FIELDS}
        assert client.post("/attention/approvals", data=form).status_code == 400


def test_every_answer_carries_the_headers(pages: Pages) -> None:
    with pages.browser(OPERATOR) as client, pages.browser() as nobody:
        answers = [client.get(path) for path in ("/", "/nowhere", "/static/1/admin.css")]
        answers += [client.post("/"), nobody.get("/"), nobody.get("/api/v1/x")]
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'self'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
        assert answers[0].headers["cache-control"] == "no-store"
        assert "immutable" in answers[2].headers["cache-control"]


def test_an_unknown_error_shows_nothing_of_itself(pages: Pages) -> None:
    @pages.app.get("/broken")
    def broken() -> None:
        raise RuntimeError("Nora Patient")

    @pages.app.get("/api/v1/broken")
    def broken_api() -> None:
        raise RuntimeError("Nora Patient")

    with pages.browser(VIEWER) as client:
        for path in ("/broken", "/api/v1/broken"):
            answer = client.get(path)
            assert answer.status_code == 500
            assert "Nora" not in answer.text
            assert "Traceback" not in answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_static_files_are_ours_alone(pages: Pages) -> None:
    with pages.browser(VIEWER) as client:
        assert client.get("/static/1/admin.css").status_code == 200
        assert client.get("/static/1/vendor/htmx/LICENSE").status_code == 200
        for path in ("..%2fguard.py", "%2e%2e/guard.py", "nothing.js", "vendor"):
            assert client.get(f"/static/1/{path}").status_code == 404, path


def test_the_plugin_costs_other_processes_nothing() -> None:
    """Airflow loads it in every task, too."""
    code = "import sys, calendar_sync.admin; print({'fastapi', 'sqlalchemy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
