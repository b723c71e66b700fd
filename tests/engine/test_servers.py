"""The servers that tests rest on do what their fixtures promise."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from tests.servers import PostgresServer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres


def test_each_test_gets_an_empty_database(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        assert connection.scalar(sqlalchemy.text("select 1")) == 1
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_nothing_is_left_of_a_stopped_server() -> None:
    with PostgresServer() as server:
        folder: Path | None = server._folder
        process = server._process
        assert folder is not None
        assert process is not None
        assert folder.exists()
    assert process.poll() is not None
    assert not folder.exists()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", server.port))
