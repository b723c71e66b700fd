"""Puts the app together. Pages are added to `ROUTERS`; the guard is around all of them."""

import logging
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from calendar_sync.admin.activity import page as activity
from calendar_sync.admin.api import changes as api_changes
from calendar_sync.admin.api import choices as api_choices
from calendar_sync.admin.api import reading as api
from calendar_sync.admin.attention import page as attention
from calendar_sync.admin.connections import page as connections
from calendar_sync.admin.mapping import imports as mapping_import
from calendar_sync.admin.mapping import jobs as mapping_jobs
from calendar_sync.admin.mapping import page as mapping
from calendar_sync.admin.mine import page as mine
from calendar_sync.admin.overview import page as overview
from calendar_sync.admin.settings import page as settings
from calendar_sync.admin.settings import profiles as settings_profiles
from calendar_sync.admin.setup import jobs as setup_jobs
from calendar_sync.admin.setup import page as setup
from calendar_sync.admin.tools import page as tools
from calendar_sync.admin.tools import selftest
from calendar_sync.admin.users import page as users
from calendar_sync.admin.users import user
from calendar_sync.admin.web.access import Access
from calendar_sync.admin.web.guard import Guard
from calendar_sync.admin.web.opening import State, unreachable
from calendar_sync.admin.web.problems import Problem, answer
from calendar_sync.admin.web.static_files import router as static_files
from calendar_sync.admin.web.wide_forms import UnreadableBody
from calendar_sync.core.redaction import describe, install
from calendar_sync.state.database import of_database

logger = logging.getLogger(__name__)

#: One router a page.
ROUTERS = (
    overview.router,
    users.router,
    user.router,
    attention.router,
    activity.router,
    tools.router,
    selftest.router,
    settings.router,
    settings_profiles.router,
    mapping.router,
    mapping_import.router,
    mapping_jobs.router,
    connections.router,
    setup.router,
    setup_jobs.router,
    mine.router,
)


#: Mistakes in a request that are told of.
SHOWN = 20


def create_app(access: Access, state: State) -> FastAPI:
    """The application; `access` says who asks, `state` has the database."""
    install()
    # The framework's own pages load scripts from elsewhere; the description of the API is ours.
    app = FastAPI(title="Welkin Calendar Sync", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.access = access
    app.state.calendar_sync = state
    app.router.routes.extend(_routes())
    app.add_middleware(Guard, access=access)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DBAPIError, _database)
    return app


@cache
def _routes() -> list[BaseRoute]:
    """All pages and the API. They know nothing of the app, so they are made once a process."""
    made = APIRouter()
    made.include_router(static_files)
    for router in ROUTERS:
        made.include_router(router, include_in_schema=False)
    made.include_router(api.router, prefix="/api/v1")
    made.include_router(api_changes.router, prefix="/api/v1")
    made.include_router(api_choices.router, prefix="/api/v1")
    return made.routes


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - narrows the type
    return answer(request, error)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type
    # The framework's own words may hold parts of the request.
    said = error.detail if isinstance(error, UnreadableBody) else ""
    return answer(request, Problem(error.status_code, said, headers=error.headers))


def _invalid(request: Request, error: Exception) -> Response:
    """Names the fields, not what was in them."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type
    found = error.errors()
    said = [f"{_place(each['loc'])}: {each['msg']}." for each in found[:SHOWN]]
    if more := len(found) - len(said):
        said.append(f"And {more} more.")
    return answer(request, Problem(422, " ".join(said)))


def _place(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part)[:100] for part in location[1:]) or "request"


def _database(request: Request, error: Exception) -> Response:
    """The next request looks at what is there now: it may have been lost, restored, upgraded."""
    logger.error("admin: state database: %s", describe(error))
    if of_database(error):
        request.app.state.calendar_sync.close()
    return answer(request, unreachable())
