"""A lease is renewed for as long as its work lasts, whatever the database does meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError, OperationalError

from calendar_sync.core.errors import LeaseLost
from calendar_sync.sync import runner as passes
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage

Make = Callable[..., Stage]


def database_error(kind: type[DatabaseError]) -> DatabaseError:
    return kind("UPDATE lease", {}, Exception("database is locked"))


@pytest.mark.parametrize("kind", [OperationalError, DatabaseError])
def test_errors_of_the_database_do_not_end_the_renewal_of_a_lease(
    stage: Make, monkeypatch: pytest.MonkeyPatch, kind: type[DatabaseError]
) -> None:
    s = stage()
    monkeypatch.setattr(passes, "RENEW_SECONDS", 0.001)
    monkeypatch.setattr(passes, "RENEW_AGAIN_SECONDS", 0.001)
    tried: list[str] = []

    async def work(services: Services) -> None:
        lease = services.store.leases.take(s.ids["dana"], "one", s.clock.now())
        renewed, lost = asyncio.Event(), asyncio.Event()
        inner = type(services.store.leases).renew

        def renew(*args: Any) -> None:
            tried.append("")
            if len(tried) in {1, 2, 4}:
                raise database_error(kind)
            try:
                inner(services.store.leases, *args)
            except LeaseLost:
                lost.set()
                raise
            if len(tried) >= 6:
                renewed.set()

        monkeypatch.setattr(type(services.store.leases), "renew", lambda _, *args: renew(*args))
        async with passes.hold(services, lease):
            await renewed.wait()
            # Another worker takes over: that ends it.
            services.store.leases.release(lease, s.clock.now())
            services.store.leases.take(s.ids["dana"], "two", s.clock.now())
            await lost.wait()
            count = len(tried)
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert len(tried) == count

    asyncio.run(s.with_services(work))
