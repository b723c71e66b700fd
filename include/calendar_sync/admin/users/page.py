"""Users: everybody who is connected, those in trouble first."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.web.inputs import AnyPlatform, PageNumber, Text
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.rendering import render
from calendar_sync.core.clock import SystemClock
from calendar_sync.insight.status import STATES
from calendar_sync.insight.users import Sort, Wanted, list_users
from calendar_sync.state import Store

router = APIRouter()

State = Literal[
    "ok",
    "late",
    "not synced yet",
    "retrying",
    "needs attention",
    "waiting for approval",
    "disabled",
    "inactive in Welkin",
]
AnyState = Annotated[
    State | None, BeforeValidator(lambda value: None if value == "" else value), Query()
]


def wanted(
    q: Text = "",
    platform: AnyPlatform = None,
    state: AnyState = None,
    sort: Sort = "state",
    descending: bool = False,
    page: PageNumber = 1,
) -> Wanted:
    """What the address asks for."""
    return Wanted(q, platform, state, sort, descending, page)


@router.get("/users")
def users(
    request: Request,
    store: Annotated[Store, Depends(store_of)],
    wanted: Annotated[Wanted, Depends(wanted)],
) -> Response:
    """One page of the list."""
    now = SystemClock().now()
    found = list_users(store, store.config.revision().settings, wanted, now)
    address = f"{request.scope['root_path']}/users?{request.url.query}"
    return render(
        request,
        "users.html",
        found=found,
        wanted=wanted,
        state_choices=[(name, name) for name in STATES],
        address=address,
    )
