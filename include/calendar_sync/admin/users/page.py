"""Users: everybody who is connected, those in trouble first."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.web.inputs import AnyPlatform, PageNumber, Text
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.rendering import render
from calendar_sync.core.clock import SystemClock
from calendar_sync.insight.user_state import UserState, state_of
from calendar_sync.insight.users import Sort, Wanted, list_users
from calendar_sync.state import Store

router = APIRouter()


def _state(value: object) -> object:
    """Nothing asked for is None; a label is taken for its code."""
    return (state_of(value) or value or None) if isinstance(value, str) else value


AnyState = Annotated[UserState | None, BeforeValidator(_state), Query()]


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
        state_choices=[(state.value, state.label) for state in UserState],
        address=address,
    )
