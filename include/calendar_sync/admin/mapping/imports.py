"""Import and roll-back of the mapping: the differences first, the change on a second word."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, UploadFile
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.mapping import change
from calendar_sync.admin.mapping.rows import lines
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import LARGEST_BODY, WideRoute
from calendar_sync.config.documents import decode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser
from calendar_sync.operations.mapping.taking import Mode, going_of, needs_confirmation, taken
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
#: Ten thousand rows are a third of it.
LARGEST = 2 * 1024 * 1024
SHOWN = 500
BasedOn = Annotated[int, Form(ge=0, le=2**31)]
Number = Annotated[int, Form(ge=0, le=2**31)]
#: The number of removed rows that was typed as confirmation, if it was required.
Typed = Annotated[
    Annotated[int, Field(ge=0, le=2**31)] | None,
    BeforeValidator(lambda value: None if str(value).strip() == "" else value),
    Form(),
]


@router.post("/mapping/import")
def preview(
    request: Request, store: Opened, file: UploadFile, mode: Annotated[Mode, Form()] = Mode.MERGE
) -> Response:
    """What a file would change; nothing is stored."""
    content, name = file.file.read(LARGEST + 1), (file.filename or "mapping.csv")[:200]
    if len(content) > LARGEST:
        raise Problem(413, f"The file is larger than {LARGEST // 1024 // 1024} MB.")
    if not content.strip():
        raise Problem(422, "The file is missing or empty.", hints=("Go back and choose a file.",))
    try:
        return _file(request, store, decode(content, name), name, mode, None)
    except ConfigurationError as error:
        return _mistakes(request, name, error.detail)


@router.post("/mapping/import/apply")
def apply(
    request: Request,
    store: Opened,
    content: Annotated[str, Form(max_length=LARGEST_BODY)],
    name: Annotated[str, Form(max_length=200)],
    based_on: BasedOn,
    mode: Annotated[Mode, Form()] = Mode.MERGE,
    remove: Typed = None,
    again: Annotated[Mode | None, Form()] = None,
) -> Response:
    """Store what the file says; or, with `again`, look at it in the other mode first."""
    try:
        if again is not None:
            return _file(request, store, content, name, again, based_on)
        found = change.read_file(store, content.encode(), name)
        change.take(request, store, found.users, mode, based_on, remove)
    except ConfigurationError as error:
        return _mistakes(request, name, error.detail)
    return RedirectResponse(f"{request.scope['root_path']}/mapping?done=imported", 303)


@router.post("/mapping/restore")
def look_back(request: Request, store: Opened, number: Number) -> Response:
    """What going back to an older revision would change; nothing is stored."""
    based_on, name = store.config.mapping_revision(), f"Version {number}"
    users = _rows_of(store, number)
    hidden = {"number": number, "based_on": based_on}
    return _difference(
        request, store, users, Mode.REPLACE, based_on, name=name, restores=number, hidden=hidden
    )


@router.post("/mapping/restore/apply")
def go_back(
    request: Request, store: Opened, number: Number, based_on: BasedOn, remove: Typed = None
) -> Response:
    """Make the mapping what it was, as a new revision: history is kept."""
    try:
        change.take(request, store, _rows_of(store, number), Mode.REPLACE, based_on, remove)
    except ConfigurationError as error:
        return _mistakes(request, f"Version {number}", error.detail)
    return RedirectResponse(f"{request.scope['root_path']}/mapping?done=restored", 303)


def _file(
    request: Request, store: Store, text: str, name: str, mode: Mode, seen: int | None
) -> Response:
    revision = store.config.mapping_revision() if seen is None else seen
    found = change.read_file(store, text.encode(), name)
    based_on = revision if found.based_on is None else found.based_on
    hidden = {"name": name, "mode": mode.value, "based_on": based_on}
    return _difference(
        request, store, found.users, mode, based_on, name=name, content=text, hidden=hidden
    )


def _difference(
    request: Request,
    store: Store,
    users: list[MappedUser],
    mode: Mode,
    based_on: int,
    *,
    name: str,
    hidden: Mapping[str, object],
    content: str | None = None,
    restores: int | None = None,
) -> Response:
    """The rows that would change, and the form that stores them."""
    before, settings = store.config.mapping(), store.config.revision().settings
    store.config.preview_mapping(users, based_on=based_on)
    difference = store.config.preview_mapping(taken(before, users, mode), based_on=based_on)
    rows, going = lines(difference), going_of(difference)
    named = {(user.user_id, user.platform) for user in users}
    return render(
        request,
        "mapping_import.html",
        name=name,
        mistakes=[],
        difference=difference,
        rows=rows[:SHOWN],
        more=max(0, len(rows) - SHOWN),
        going=going,
        must_type=needs_confirmation(going, len(before), settings),
        staying=sum((row.user_id, row.platform) not in named for row in before),
        unmapped=settings.on_unmapped,
        mode=mode.value,
        content=content,
        restores=restores,
        hidden=hidden,
        total=len(users),
    )


def _rows_of(store: Store, number: int) -> list[MappedUser]:
    try:
        return store.config.mapping_of(number)
    except ConfigurationError as error:
        raise Problem(404, f"{error.detail}.") from None


def _mistakes(request: Request, name: str, detail: str) -> Response:
    said = detail.removeprefix(f"{name}: ").split("; ")
    response = render(request, "mapping_import.html", name=name, mistakes=said)
    response.status_code = 422
    return response
