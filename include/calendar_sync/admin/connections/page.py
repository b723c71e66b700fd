"""Connections: which are configured, and whether they work."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.connections import tests as connection_tests
from calendar_sync.admin.web.lanes import READING, TESTS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]


@router.get("/connections")
async def connections(request: Request) -> Response:
    """All of them. Works without a state database: this is where one begins."""
    found = await READING.run(request, connection_tests.connections)
    return render(request, "connections.html", found=found)


@router.post("/connections/{name}/test")
async def test(
    request: Request, store: Opened, name: Annotated[str, Path(max_length=64)]
) -> Response:
    """Try one: part of a page."""
    tested = await TESTS.run(request, partial(connection_tests.test, store, name))
    return render(request, "connection_tested.html", tested=tested)
