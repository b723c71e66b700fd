"""The set-up in the pages: what is done there, by whom, and that nothing typed comes back."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.common.exceptions import ERROR_HANDLERS
from airflow.configuration import conf
from airflow.models.connection import Connection
from airflow.models.log import Log
from airflow.utils.session import create_session
from fastapi import FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.engine import make_url
from starlette.applications import Starlette

from calendar_sync.admin.dag_guard import DagGuard
from calendar_sync.admin.web import PREFIX, airflow_here
from calendar_sync.admin.web.access import Right
from calendar_sync.admin.web.opening import State
from calendar_sync.config.credentials import HMAC_KEY
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.operations.setup.steps import dags_of
from calendar_sync.state import Database, Store
from calendar_sync.state.place import Place, place_of
from calendar_sync_sandbox import Sandbox, running
from tests.engine.admin.stage import OPERATOR, VIEWER, Pages, csrf
from tests.engine.setup.airflow_tables import add_dags, switched_off, tables, to_parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

NOW = datetime.now(UTC)
SECRET = "made-up-secret-that-nobody-may-see"
WELKIN, GOOGLE, MICROSOFT = (
    "welkin_default",
    "google_calendar_default",
    "microsoft_graph_default",
)
#: May edit DAGs, but neither connections nor the configuration.
USER = "USER"


@pytest.fixture
def airflow_tables() -> Iterator[None]:
    with tables():
        yield


@pytest.fixture
def whole(pages: Pages, airflow_tables: None) -> Pages:
    """The pages in an API server with Airflow's own routes, our middleware around them."""
    # Here, as importing one imports all of Airflow's routes: two seconds for each test process.
    from airflow.api_fastapi.core_api.routes.public.connections import connections_router
    from airflow.api_fastapi.core_api.routes.public.dag_parsing import dag_parsing_router
    from airflow.api_fastapi.core_api.routes.public.dags import dags_router

    root = FastAPI()
    root.mount(PREFIX, pages.app)
    root.include_router(connections_router, prefix="/api/v2")
    root.include_router(dags_router, prefix="/api/v2")
    root.include_router(dag_parsing_router, prefix="/api/v2")
    root.state.auth_manager = init_auth_manager()
    root.state.secret_key = conf.get("api", "secret_key")
    root.state.dag_bag = create_dag_bag()
    for handler in ERROR_HANDLERS:
        root.add_exception_handler(handler.exception_cls, handler.exception_handler)
    root.add_middleware(DagGuard)
    pages.root = root
    return pages


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """Both sides, and the connections that reach them."""
    sandbox = Sandbox(client_secret=SECRET)
    sandbox.welkin.rate_limit = None
    sandbox.organise(users=3, encounters=1, microsoft="half")
    with running(sandbox, tmp_path / "served"):
        found = json.loads((tmp_path / "served" / "connections.json").read_text())
        yield sandbox, found


def add_key() -> None:
    with create_session() as session:
        session.add(Connection(conn_id=HMAC_KEY, conn_type="generic", password="audit key"))


def form_of(name: str, fields: dict[str, Any]) -> dict[str, str]:
    extra = fields["extra"]
    if name == GOOGLE:
        return {
            "keyfile": extra["keyfile_dict"],
            **{key: extra[key] for key in ("api_root", "directory_root", "verify")},
        }
    common = {"client": fields["login"], "secret": fields["password"], "host": fields["host"]}
    names = ("tenant", "instance", "tenant_id", "authority", "verify")
    return {**common, **{key: extra[key] for key in names if key in extra}}


def posted(client: TestClient, path: str, values: dict[str, str] | None = None) -> Any:
    data = {"csrf_token": csrf(client, "/setup"), **(values or {})}
    return client.post(f"/setup/{path}", data=data, follow_redirects=True)


def stored(name: str) -> Connection | None:
    with create_session() as session:
        found: Connection | None = session.scalar(
            select(Connection).where(Connection.conn_id == name)
        )
        return found


def step(text: str, key: str) -> str:
    return text.split(f'id="{key}"')[1].split("</section>")[0]


@pytest.mark.parametrize("name", [WELKIN, GOOGLE, MICROSOFT])
def test_a_connection_is_tried_stored_and_tried_again(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]], name: str
) -> None:
    add_key()
    values = form_of(name, world[1][name])
    with whole.browser(OPERATOR) as operator:
        answer = posted(operator, f"connections/{name}", values)
        assert answer.status_code == 200, answer.text[-3000:]
        place = step(answer.text, "welkin" if name == WELKIN else "calendars")
        assert " works." in place or "accepts the credentials" in place
        connection = stored(name)
        assert connection is not None
        assert connection.conn_type == world[1][name]["conn_type"]
        # Once more: what is there is replaced.
        answer = posted(operator, f"connections/{name}", values)
        assert answer.status_code == 200
        again = stored(name)
        assert again is not None
        assert again.extra == connection.extra
    with create_session() as session:
        rows = [(row.event, row.owner) for row in session.scalars(select(Log))]
    assert ("post_connection", OPERATOR) in rows, "Airflow keeps the record, in the person's name"
    if name != MICROSOFT:  # There the right to write is tried with an event that nobody has.
        assert world[0].requests.writes() == []


def test_a_fault_is_reported_precisely_and_nothing_is_stored(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]]
) -> None:
    add_key()
    values = {**form_of(WELKIN, world[1][WELKIN]), "secret": "not it"}
    with whole.browser(OPERATOR) as operator:
        answer = posted(operator, f"connections/{WELKIN}", values)
        assert answer.status_code == 422
        assert "welkin_unauthorized" in step(answer.text, "welkin")
        assert "Who can fix it" in step(answer.text, "welkin")
        assert stored(WELKIN) is None
        # What takes effect only after hours is stored all the same, and its fault is shown.
        answer = posted(operator, f"connections/{WELKIN}", {**values, "anyway": "yes"})
        assert stored(WELKIN) is not None
        assert "welkin_unauthorized" in step(answer.text, "welkin")
        assert "</span> fault</span>" in step(answer.text, "welkin")
        answer = posted(
            operator, f"connections/{GOOGLE}", {**form_of(GOOGLE, world[1][GOOGLE]), "mailbox": "x"}
        )
        assert "x: " in step(answer.text, "calendars")
        assert stored(GOOGLE) is None


def test_a_key_file_may_be_uploaded(whole: Pages, world: tuple[Sandbox, dict[str, Any]]) -> None:
    add_key()
    values = form_of(GOOGLE, world[1][GOOGLE])
    file = values.pop("keyfile").encode()
    with whole.browser(OPERATOR) as operator:
        data = {"csrf_token": csrf(operator, "/setup"), "keyfile": "", **values}
        answer = operator.post(
            f"/setup/connections/{GOOGLE}", data=data, files={"keyfile": ("key.json", file)}
        )
        assert answer.status_code == 200, answer.text[-2000:]
        assert stored(GOOGLE) is not None


def test_nothing_that_was_typed_comes_back(
    whole: Pages,
    store: Store,
    world: tuple[Sandbox, dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    add_key()
    caplog.set_level(logging.DEBUG)
    answers: list[str] = []
    with whole.browser(OPERATOR) as operator:
        for name in (WELKIN, GOOGLE, MICROSOFT):
            good = form_of(name, world[1][name])
            bad = {key: f"{SECRET}-{value[:40]}" for key, value in good.items()}
            for values in (bad, {**good, "secret": SECRET + "x"}, {**good, "anyway": "1"}, good):
                for headers in ({}, {"hx-request": "true"}):
                    data = {"csrf_token": csrf(operator, "/setup"), **values}
                    answer = operator.post(f"/setup/connections/{name}", data=data, headers=headers)
                    answers.append(answer.text + str(answer.headers))
        answers += [operator.get(path).text for path in ("/", "/setup", "/connections")]
    private = world[1][GOOGLE]["extra"]["keyfile_dict"][300:340]
    secrets = (SECRET, world[1][MICROSOFT]["password"], private)
    out, err = capfd.readouterr()
    with create_session() as session:
        kept = [str(row.extra) for row in session.scalars(select(Log))]
    store.database.close()
    database = b"".join(file.read_bytes() for file in tmp_path.glob("state.db*"))
    for secret in secrets:
        assert not [text for text in answers if secret in text]
        assert secret not in caplog.text + out + err + "".join(kept)
        assert secret.encode() not in database


def test_a_user_who_may_not_edit_connections_sees_who_can(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]]
) -> None:
    add_key()
    with whole.browser(VIEWER) as viewer:
        text = viewer.get("/setup").text
        assert "Ask a person whose role in Airflow may" in text
        assert "<form" not in text
        assert viewer.post("/setup/prepare").status_code == 403
    with whole.script(USER) as program:
        values = form_of(WELKIN, world[1][WELKIN])
        assert program.post(f"/setup/connections/{WELKIN}", data=values).status_code == 403
        assert stored(WELKIN) is None


def test_airflow_itself_decides(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where our own look at the rights were wrong."""
    add_key()
    monkeypatch.setattr(
        "calendar_sync.admin.security._rights",
        lambda user: frozenset(Right),
    )
    with whole.browser(VIEWER) as viewer:
        answer = posted(viewer, f"connections/{WELKIN}", form_of(WELKIN, world[1][WELKIN]))
        assert answer.status_code == 403
        assert "Op or Admin" in answer.text
    assert stored(WELKIN) is None


def test_without_the_middleware_nothing_is_stored(
    pages: Pages, airflow_tables: None, world: tuple[Sandbox, dict[str, Any]]
) -> None:
    add_key()
    pages.root = Starlette()
    pages.root.mount(PREFIX, pages.app)
    with pages.browser(OPERATOR) as operator:
        answer = posted(operator, f"connections/{WELKIN}", form_of(WELKIN, world[1][WELKIN]))
        assert answer.status_code == 503
        assert str(airflow_here.NOT_HERE) in answer.text
    assert stored(WELKIN) is None


def test_a_connection_that_something_else_hides_is_reported(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key()
    other = {**world[1][WELKIN], "login": "OTHERCLIENT"}
    monkeypatch.setenv("AIRFLOW_CONN_WELKIN_DEFAULT", json.dumps(other))
    with whole.browser(OPERATOR) as operator:
        answer = posted(operator, f"connections/{WELKIN}", form_of(WELKIN, world[1][WELKIN]))
        assert "hidden_connection" in answer.text
        assert "Stored, but not in use" in answer.text


def test_a_test_of_another_connection_does_not_count(
    whole: Pages, world: tuple[Sandbox, dict[str, Any]]
) -> None:
    add_key()
    with whole.browser(OPERATOR) as operator:
        posted(operator, f"connections/{WELKIN}", form_of(WELKIN, world[1][WELKIN]))
        assert "Welkin works." in step(operator.get("/setup").text, "welkin")
        with create_session() as session:
            found = session.scalar(select(Connection).where(Connection.conn_id == WELKIN))
            assert found is not None
            found.set_password("changed in Airflow")
        assert "not tested yet" in step(operator.get("/setup").text, "welkin")
        answer = posted(operator, f"connections/{WELKIN}/test")
        assert "welkin_unauthorized" in step(answer.text, "welkin")


def test_the_database_is_made_by_a_button(whole: Pages, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/made.db"
    whole.app.state.calendar_sync.close()
    whole.app.state.calendar_sync = State(url)
    with whole.browser(OPERATOR) as operator:
        assert "Create them" in operator.get("/").text
        answer = posted(operator, "prepare")
        assert answer.status_code == 200
        assert "State database and signing key exist" in answer.text
        key = stored(HMAC_KEY)
        assert key is not None
        # Where a key is and no database, a person is told why, and decides.
        whole.app.state.calendar_sync.close()
        whole.app.state.calendar_sync = State(f"sqlite:///{tmp_path}/other.db")
        text = operator.get("/").text
        assert "state_missing" in text
        assert "Create a new state database" in text
        posted(operator, "prepare")
        again = stored(HMAC_KEY)
        assert again is not None
        assert again.password == key.password
        made = Database(f"sqlite:///{tmp_path}/other.db")
        assert place_of(made) is Place.READY
        made.close()


def test_a_level_is_chosen_and_no_other_setting_changes(whole: Pages, store: Store) -> None:
    add_key()
    with whole.browser(OPERATOR) as operator:
        answer = posted(operator, "privacy", {"level": "type", "based_on": "0"})
        assert answer.status_code == 200
        said = "Titles show the type of visit, descriptions nothing."
        assert said in step(answer.text, "privacy")
        revision = store.config.revision()
        assert (revision.id, revision.author) == (1, f"airflow:{OPERATOR}")
        assert posted(operator, "privacy", {"level": "busy", "based_on": "0"}).status_code == 409
        assert posted(operator, "privacy", {"level": "full", "based_on": "1"}).status_code == 422


def waited(client: TestClient, answer: Any, until: str) -> str:
    while until not in answer.text:
        time.sleep(0.2)
        answer = client.get(str(answer.url).partition("#")[0].split(PREFIX)[1])
    return str(answer.text)


def test_proposals_preview_and_test_lead_to_the_switch(
    whole: Pages, store: Store, world: tuple[Sandbox, dict[str, Any]]
) -> None:
    add_key()
    add_dags(dags_of(Platform))
    with whole.browser(OPERATOR) as operator:
        for name in (WELKIN, GOOGLE):
            posted(operator, f"connections/{name}", form_of(name, world[1][name]))
        text = waited(operator, posted(operator, "people"), 'name="row"')
        assert 'name="back" value="setup"' in text
        user = next(iter(world[0].google.accounts.values())).email.lower()
        staff = next(one for one in world[0].welkin.users.values() if one.email.lower() == user)
        store.config.edit_mapping(
            lambda _: [MappedUser(staff.id, Platform.GOOGLE, user)], "tests", NOW
        )
        text = waited(operator, posted(operator, "dry-run"), "events for calendars")
        assert world[0].requests.writes() == []
        assert "1 account: " in step(text, "dry_run")
        answer = posted(operator, "selftest", {"who": f"google {user}"})
        text = waited(operator, answer, f"Passed for {user}")
        answer = posted(operator, "switch-on")
        assert "The sync is on" in step(answer.text, "switch_on"), answer.text[-3000:]
    assert switched_off() == ["microsoft_calendar_sync"]
    # Only when it parses the file Airflow starts the trigger that looks for changes.
    assert to_parse() == {f"{dag_id}.py" for dag_id in dags_of([Platform.GOOGLE])}


@pytest.mark.parametrize("name", ["google", "microsoft", "welkin"])
def test_each_guide_opens(viewer: TestClient, name: str) -> None:
    text = viewer.get(f"/guides/{name}").text
    assert "<table>" in text
    assert "<ol>" in text
    assert 'href="security.md"' not in text
    assert viewer.get("/guides/operations").status_code == 404


@pytest.mark.postgres
def test_a_database_that_lets_us_make_no_tables_says_who_can(
    whole: Pages, postgres_url: str
) -> None:
    """As in compose: the API server is a role that reads and writes rows."""
    owner = create_engine(postgres_url)
    with owner.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS rows_only")
        connection.exec_driver_sql("CREATE ROLE rows_only LOGIN PASSWORD 'made-up'")
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    owner.dispose()
    reader = make_url(postgres_url).set(username="rows_only", password="made-up")
    whole.app.state.calendar_sync.close()
    whole.app.state.calendar_sync = State(reader.render_as_string(hide_password=False))
    with whole.browser(OPERATOR) as operator:
        answer = posted(operator, "prepare")
        assert answer.status_code == 422
        assert "state_refused" in step(answer.text, "prepare")
        assert "as the database's owner" in answer.text.replace("&#39;", "'")
        assert "made-up" not in answer.text
    assert stored(HMAC_KEY) is None, "no key without its database"


def test_a_database_that_does_not_answer_is_reported(whole: Pages, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    whole.app.state.calendar_sync.close()
    whole.app.state.calendar_sync = State(f"sqlite:///{tmp_path}/text.db")
    with whole.browser(OPERATOR) as operator:
        answer = operator.get("/setup")
        assert answer.status_code == 200
        assert "state_unreachable" in step(answer.text, "prepare")
        assert posted(operator, "prepare").status_code == 422
