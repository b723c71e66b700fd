"""Every test of this folder runs on a SQLite file and on PostgreSQL."""

from tests.engine.state.conftest import database, fixture_url, store

__all__ = ["database", "fixture_url", "store"]
