"""The guided first set-up: the list of its steps, and what each step does."""

import asyncio
import json
import logging
from functools import partial
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Path
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.connections import tests as connection_tests
from calendar_sync.admin.settings import change as settings_change
from calendar_sync.admin.settings.samples import Sample, samples
from calendar_sync.admin.setup import guides
from calendar_sync.admin.setup.state import set_up
from calendar_sync.admin.web import airflow_here, outside
from calendar_sync.admin.web.access import Right
from calendar_sync.admin.web.lanes import READING, TESTS
from calendar_sync.admin.web.opening import State, store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.credentials import WELKIN
from calendar_sync.config.settings import MirrorContent, Settings
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import SetupCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import DetailLevel, Finding
from calendar_sync.core.redaction import describe
from calendar_sync.operations.setup.steps import SPARED, dags_of
from calendar_sync.operations.setup.trying import try_typed
from calendar_sync.operations.setup.typed import FORMS, Mistaken, Typed, read_typed
from calendar_sync.orchestration.first_start import make_state
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
Name = Annotated[str, Path(max_length=64)]
#: Characters of a mailbox, as everywhere.
LONGEST_MAILBOX = 320
WHO_CONNECTS = (
    "Your account may not edit Airflow's connections. Ask a person whose role in Airflow may "
    "(Op or Admin) to open this page and take this step."
)
LEVELS: tuple[tuple[DetailLevel, str], ...] = (
    (DetailLevel.BUSY, "Busy only: one fixed text for every visit"),
    (DetailLevel.TYPE, "Type of visit: titles that you choose for each type"),
)


@router.get("/setup")
async def setup(request: Request) -> Response:
    """The list. Works without a state database: this is where one is made."""
    return await page(request)


async def page(
    request: Request,
    *,
    opened: str = "",
    faults: dict[str, list[Finding]] | None = None,
    mistakes: dict[str, dict[str, str]] | None = None,
    status: int = 200,
) -> Response:
    """The list, with what is wrong in the step that was just tried (`opened`)."""
    found = await set_up(request)
    response = render(
        request,
        "setup.html",
        found=found,
        forms=FORMS,
        levels=[(level, words, _shown(level)) for level, words in LEVELS],
        opened=opened or found.next,
        faults=faults or {},
        mistakes=mistakes or {},
        who_connects=WHO_CONNECTS,
    )
    response.status_code = status
    return response


def _shown(level: DetailLevel) -> list[Sample]:
    content = MirrorContent.model_validate({"title": {"level": level}})
    return samples(content, (), SystemClock().now())


@router.get("/guides/{name}")
def guide(request: Request, name: Name) -> Response:
    """How a provider's administrator makes what we need."""
    title, text = guides.read(name, request.scope["root_path"])
    return render(request, "guide.html", title=title, text=text)


@router.post("/setup/prepare")
async def prepare(request: Request) -> Response:
    """Make the state database and the key, where they are missing."""
    state: State = request.app.state.calendar_sync
    try:
        await READING.run(request, partial(_prepare, state))
    except ConfigurationError as error:
        fault = Finding.of(error.code, error.detail)
    except DBAPIError as error:
        logger.error("admin: state database: %s", describe(error))
        fault = Finding.of(SetupCode.STATE_REFUSED)
    except OSError as error:
        logger.error("admin: state database: %s", describe(error))
        fault = Finding.of(SetupCode.STATE_UNREACHABLE)
    else:
        logger.info("admin: %s prepared the state database", request.state.viewer.name)
        return _back(request, "welkin")
    return await page(request, opened="prepare", faults={"prepare": [fault]}, status=422)


def _prepare(state: State) -> None:
    with outside.as_server():
        make_state(state.url)


# --- connections --------------------------------------------------------------------------------


@router.post("/setup/connections/{name}")
async def connect(request: Request, name: Name) -> Response:
    """Try what was typed, store it through Airflow's API, and try what is stored.

    Nothing that was typed is in the answer.
    """
    if name not in FORMS:
        raise Problem(404)
    if not request.state.viewer.may(Right.CONNECT):
        raise Problem(403, WHO_CONNECTS)
    store = await run_in_threadpool(store_of, request)
    values = await _values(request)
    step = _step(name)
    try:
        typed = await run_in_threadpool(read_typed, name, values)
    except Mistaken as error:
        return await _refused(request, step, name, mistakes=error.mistakes)
    if not values.get("anyway"):
        mailbox = values.get("mailbox", "").strip()[:LONGEST_MAILBOX]
        settings = store.config.revision().settings
        tried = await TESTS.run(request, partial(_try, name, typed, mailbox, settings))
        if tried:
            return await _refused(request, step, name, faults=tried)
    await _store(request, name, typed)
    tested = await TESTS.run(request, partial(_test_stored, store, name, typed))
    if tested is not None:
        return await _refused(request, step, name, faults=[tested])
    return _back(request, "calendars" if step == "welkin" else "privacy")


async def _values(request: Request) -> dict[str, str]:
    """Every field; a file stands for the text that it holds."""
    found: dict[str, str] = {}
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read(LARGEST_KEY + 1)
                if content:
                    found[name] = content[:LARGEST_KEY].decode("utf-8", "replace")
            elif value.strip() or name not in found:
                found[name] = value
    return found


#: Bytes of a key file: they have some 2,400.
LARGEST_KEY = 64 * 1024


def _try(name: str, typed: Typed, mailbox: str, settings: Settings) -> list[Finding]:
    found = asyncio.run(try_typed(name, typed, mailbox, settings, SystemClock()))
    return [one for one in found if one.code not in SPARED]


async def _store(request: Request, name: str, typed: Typed) -> None:
    """Add or replace the connection, in the person's own name.

    Raises:
        Problem: Airflow refuses.
    """
    path = f"/connections/{quote(name)}"
    status = await airflow_here.ask(request, "PATCH", path, typed.document)
    if status == 404:
        status = await airflow_here.ask(request, "POST", "/connections", typed.document)
    if status in {401, 403}:
        raise Problem(403, WHO_CONNECTS)
    if status >= 400:
        raise Problem(503, f"Airflow did not store the connection ({status}).", hints=(BY_HAND,))
    logger.info("admin: %s stored connection %s", request.state.viewer.name, name)


BY_HAND = "Its API server's log says why. You can also add it in Airflow: Admin, Connections."


def _test_stored(store: Store, name: str, typed: Typed) -> Finding | None:
    """Test what Airflow reads now; a fault where that is another connection than the one stored."""
    connection_tests.test(store, name)
    read = outside.fields(name)
    same = (read.host, read.login, str(read.password), dict(read.extra)) == (
        typed.fields.host,
        typed.fields.login,
        str(typed.fields.password),
        dict(typed.fields.extra),
    )
    return None if same else Finding.of(SetupCode.HIDDEN_CONNECTION)


async def _refused(
    request: Request,
    step: str,
    name: str,
    *,
    faults: list[Finding] | None = None,
    mistakes: dict[str, str] | None = None,
) -> Response:
    """What is wrong: beside the form for scripts, which keep what was typed, else the page."""
    if request.headers.get("hx-request"):
        return render(
            request,
            "setup_refused.html",
            form=FORMS[name],
            faults=faults or [],
            mistakes=mistakes or {},
        )
    return await page(
        request,
        opened=step,
        faults={name: faults or []},
        mistakes={name: mistakes or {}},
        status=422,
    )


@router.post("/setup/connections/{name}/test")
async def test(request: Request, store: Opened, name: Name) -> Response:
    """Test what is stored, again."""
    if name not in FORMS:
        raise Problem(404)
    await TESTS.run(request, partial(connection_tests.test, store, name))
    return _back(request, _step(name))


def _step(name: str) -> str:
    return "welkin" if name == WELKIN else "calendars"


# --- decisions ----------------------------------------------------------------------------------


@router.post("/setup/privacy")
def privacy(
    request: Request,
    store: Opened,
    level: Annotated[Literal["busy", "type"], Form()],
    based_on: Annotated[int, Form(ge=0, le=2**31)],
) -> Response:
    """Store what mirrors say; everything else stays as it is."""
    revision = store.config.revision()
    document = revision.settings.model_dump(mode="json")
    document["mirror_content"]["title"]["level"] = level
    document["mirror_content"]["description"]["level"] = DetailLevel.BUSY.value
    try:
        settings_change.save(request, store, settings_change.checked(document), based_on)
    except ConfigurationError as error:
        raise Problem(409, error.detail) from None
    return _back(request, "people")


@router.post("/setup/switch-on")
async def switch_on(request: Request) -> Response:
    """Unpause the DAGs of the platforms in use and the two that look after them."""
    found = await set_up(request)
    for dag_id in dags_of(found.there.in_use):
        path, query = f"/dags/{quote(dag_id)}", "update_mask=is_paused"
        unpause = {"is_paused": False}
        status, dag = await airflow_here.answer(request, "PATCH", path, unpause, query)
        if status in {401, 403}:
            raise Problem(
                403,
                f"Your account may not switch on {dag_id}.",
                hints=("Ask a person whose role in Airflow may edit DAGs.",),
            )
        if status >= 400:
            said = f"Airflow did not switch on {dag_id} ({status})."
            raise Problem(503, said, hints=("Is it listed among Airflow's DAGs?",))
        logger.info("admin: %s switched on %s", request.state.viewer.name, dag_id)
        # Only when it parses the file Airflow starts the trigger that looks for changes. Whoever
        # may not ask for that waits half a minute longer.
        file = quote(json.loads(dag)["file_token"])
        await airflow_here.answer(request, "PUT", f"/parseDagFile/{file}")
    return _back(request, "switch_on")


def _back(request: Request, step: str) -> Response:
    """To the list, at this step."""
    address = f"{request.scope['root_path']}/setup#{step}"
    if request.headers.get("hx-request"):
        # The same address again: a browser would only scroll.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return RedirectResponse(address, status_code=303)
