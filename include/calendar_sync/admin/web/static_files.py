"""Style, scripts and vendored libraries, from this package only."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from calendar_sync.admin.web.rendering import STATIC

router = APIRouter(include_in_schema=False)
_FILES = StaticFiles(directory=STATIC)


@router.get("/static/{version}/{path:path}")
async def static(request: Request, path: str) -> Response:
    """One file. Its address changes with its content, so that the browser may keep it."""
    response = await _FILES.get_response(path, request.scope)
    response.headers["cache-control"] = "private, max-age=31536000, immutable"
    return response
