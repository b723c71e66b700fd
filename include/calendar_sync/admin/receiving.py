"""The receiver of push inside Airflow's API server, for deployments that want no process more."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from calendar_sync.admin.lazy import Lazy

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

#: Set to 1, the API server takes notices below `PREFIX`.
VARIABLE = "CALENDAR_SYNC_RECEIVE_IN_API_SERVER"
PREFIX = "/calendar-sync-push"
AGAIN_SECONDS = 30.0


def wanted() -> bool:
    """The deployment has it so."""
    return os.environ.get(VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def receiving_app() -> "FastAPI":
    """The receiver, which shows that it runs from the start of the API server to its end.

    Airflow enters the lifespan of FastAPI's applications alone.
    """
    from fastapi import FastAPI

    receiver = Lazy(_make)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(_run(receiver))
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.mount("", receiver)
    return app


async def _run(receiver: Lazy) -> None:
    """Airflow starts whether or not the receiver can: its databases may come later."""
    from calendar_sync.core.redaction import describe

    while True:
        try:
            app = await receiver.made()
            break
        except Exception as error:
            logger.warning("receiver: %s", describe(error))
            await asyncio.sleep(AGAIN_SECONDS)
    async with app.router.lifespan_context(app):
        await asyncio.Event().wait()


def _make() -> Any:
    from calendar_sync.admin.web.outside import as_server
    from calendar_sync.core.identity import push_key
    from calendar_sync.orchestration.connections import organisation_key
    from calendar_sync.push.receiver import create
    from calendar_sync.state import Database

    with as_server():
        key = push_key(organisation_key())
    return create(Database(), key)
