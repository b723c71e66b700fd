"""Overview: is everything in step?"""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.opening import store_of
from calendar_sync.admin.rendering import render
from calendar_sync.state import Store

router = APIRouter()


@router.get("/")
def overview(request: Request, store: Annotated[Store, Depends(store_of)]) -> Response:
    """The first page."""
    mapped = len(store.config.mapping())
    return render(request, "overview.html", mapped=mapped)
