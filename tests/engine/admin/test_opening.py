"""What the pages say when the state database is not there or is of another time."""

from pathlib import Path

import pytest
from sqlalchemy import MetaData, text

from calendar_sync.admin.web.opening import State
from calendar_sync.state import Database, Store
from calendar_sync.state.migrate import upgrade
from tests.engine.admin.stage import VIEWER, Pages


def with_state(pages: Pages, url: str) -> Pages:
    pages.app.state.calendar_sync.close()
    pages.app.state.calendar_sync = State(url)
    return pages


def said(pages: Pages) -> str:
    with pages.browser(VIEWER) as client:
        answer = client.get("/users")
        assert answer.status_code == 503
        assert "text/html" in answer.headers["content-type"]
        assert "`" not in answer.text
        return answer.text


@pytest.mark.parametrize(
    "path", ["/users", "/attention", "/settings", "/mapping", "/activity", "/tools"]
)
def test_without_one_each_page_leads_to_the_set_up(pages: Pages, tmp_path: Path, path: str) -> None:
    with_state(pages, f"sqlite:///{tmp_path}/none.db")
    with pages.browser(VIEWER) as client:
        answer = client.get(path)
        assert answer.status_code == 503
        assert 'href="/calendar-sync/setup"' in answer.text
        assert "calendar-sync init" not in answer.text
        assert "`" not in answer.text


def test_without_one_the_overview_is_the_set_up(pages: Pages, tmp_path: Path) -> None:
    with_state(pages, f"sqlite:///{tmp_path}/none.db")
    with pages.browser(VIEWER) as client:
        for path in ("/", "/setup", "/connections", "/guides/google"):
            assert client.get(path).status_code == 200
        assert "The state database does not exist yet" in client.get("/").text


def test_there_is_none_yet(pages: Pages, tmp_path: Path) -> None:
    file = tmp_path / "none.db"
    assert "The state database does not exist yet" in said(with_state(pages, f"sqlite:///{file}"))
    # Looking has made no empty one: the first start finds what it expects.
    assert not file.exists()


def test_it_is_empty(pages: Pages, tmp_path: Path) -> None:
    file = tmp_path / "empty.db"
    file.touch()
    assert "The state database does not exist yet" in said(with_state(pages, f"sqlite:///{file}"))


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_it_is_of_another_version(pages: Pages, store: Store, revision: str) -> None:
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
    assert "calendar-sync db upgrade" in said(pages)


def test_it_is_no_database(pages: Pages, tmp_path: Path) -> None:
    file = tmp_path / "text.db"
    file.write_text("no database " * 1000)
    assert "does not answer" in said(with_state(pages, f"sqlite:///{file}"))


def test_its_address_is_of_another_kind(pages: Pages) -> None:
    assert "is not valid" in said(with_state(pages, "mysql://root@localhost/x"))


def test_it_stops_answering(pages: Pages, store: Store) -> None:
    with pages.browser(VIEWER) as client:
        assert client.get("/users").status_code == 200
        with store.database.write() as connection:
            connection.execute(text("DROP TABLE user_mapping"))
        answer = client.get("/users")
        assert answer.status_code == 503
        assert "user_mapping" not in answer.text


def test_it_is_lost_while_the_server_runs(pages: Pages, store: Store) -> None:
    with pages.browser(VIEWER) as client:
        assert client.get("/users").status_code == 200
        with store.database.write() as connection:
            tables = MetaData()
            tables.reflect(connection)
            tables.drop_all(connection)
        assert "does not answer" in client.get("/users").text
        assert "The state database does not exist yet" in client.get("/users").text
        assert client.get("/").status_code == 200


def test_it_is_found_as_soon_as_it_is_made(pages: Pages, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/late.db"
    said(with_state(pages, url))
    made = Database(url)
    upgrade(made)
    made.close()
    with pages.browser(VIEWER) as client:
        assert client.get("/").status_code == 200
