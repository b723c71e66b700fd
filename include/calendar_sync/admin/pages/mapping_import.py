"""Import of the user mapping: the differences first, then, on a second word, the change."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin import mapping_change as change
from calendar_sync.admin.mapping_rows import leaving, lines
from calendar_sync.admin.opening import store_of
from calendar_sync.admin.problems import Problem
from calendar_sync.admin.rendering import render
from calendar_sync.admin.wide_forms import LARGEST_BODY, WideRoute
from calendar_sync.documents import decode
from calendar_sync.errors import ConfigurationError
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
#: Ten thousand rows are a third of it.
LARGEST = 2 * 1024 * 1024
SHOWN = 500


@router.post("/mapping/import")
def preview(request: Request, store: Opened, file: UploadFile) -> Response:
    """What a file would change; nothing is stored."""
    content, name = file.file.read(LARGEST + 1), (file.filename or "mapping.csv")[:200]
    if len(content) > LARGEST:
        raise Problem(413, f"The file is larger than {LARGEST // 1024 // 1024} MB.")
    if not content.strip():
        raise Problem(422, "There is no file, or it is empty.", hints=("Go back and choose one.",))
    try:
        text = decode(content, name)
        found = change.read_file(store, content, name)
        revision = store.config.mapping_revision()
        based_on = revision if found.based_on is None else found.based_on
        difference = store.config.preview_mapping(found.users, based_on=based_on)
    except ConfigurationError as error:
        return _mistakes(request, name, error.detail)
    rows = lines(difference)
    return render(
        request,
        "mapping_import.html",
        name=name,
        mistakes=[],
        difference=difference,
        rows=rows[:SHOWN],
        more=max(0, len(rows) - SHOWN),
        leaving=leaving(difference),
        unmapped=store.config.revision().settings.unmapped,
        content=text,
        based_on=based_on,
        total=len(found.users),
    )


@router.post("/mapping/import/apply")
def apply(
    request: Request,
    store: Opened,
    content: Annotated[str, Form(max_length=LARGEST_BODY)],
    name: Annotated[str, Form(max_length=200)],
    based_on: Annotated[int, Form(ge=0, le=2**31)],
) -> Response:
    """Make the mapping exactly what the file says."""
    try:
        found = change.read_file(store, content.encode(), name)
        change.apply(request, store, lambda _: found.users, based_on)
    except ConfigurationError as error:
        return _mistakes(request, name, error.detail)
    return RedirectResponse(f"{request.scope['root_path']}/mapping?done=imported", 303)


def _mistakes(request: Request, name: str, detail: str) -> Response:
    said = detail.removeprefix(f"{name}: ").split("; ")
    response = render(request, "mapping_import.html", name=name, mistakes=said)
    response.status_code = 422
    return response
