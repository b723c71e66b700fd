"""What the set-up does in the background: proposals, the preview of the first sync, the test.

Each is a page that looks again by itself until the job has ended.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.mapping.jobs import proposals_work
from calendar_sync.admin.settings import effects
from calendar_sync.admin.tools.selftest import work as selftest_work
from calendar_sync.admin.web.jobs import JOBS, Job
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform
from calendar_sync.operations.setup.record import note_dry_run
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
Kind = Literal["people", "dry_run", "selftest"]
TITLES = {
    "people": "Proposals for the mapping",
    "dry_run": "Preview of the first sync",
    "selftest": "Test with one person",
}


@router.post("/setup/people")
def people(request: Request, store: Opened) -> Response:
    """Begin to match the staff with accounts."""
    return _begin(request, "people", proposals_work(store))


@router.post("/setup/dry-run")
def dry_run(request: Request, store: Opened) -> Response:
    """Begin to plan everybody's first sync, or that of as many as fit into a job's time."""
    return _begin(request, "dry_run", _counted(store))


@router.post("/setup/selftest")
def selftest(
    request: Request, store: Opened, who: Annotated[str, Form(max_length=400)] = ""
) -> Response:
    """Begin the test; `who` is platform and mailbox, empty for a first one."""
    name, _, account = who.partition(" ")
    platform = Platform(name) if name in set(Platform) else None
    return _begin(request, "selftest", selftest_work(store, account.strip(), platform))


def _begin(request: Request, kind: Kind, work: Callable[[Job], Awaitable[Any]]) -> Response:
    title = TITLES[kind][:1].lower() + TITLES[kind][1:]
    job = JOBS.start(f"setup-{kind}", title, work, request.state.viewer.id)
    return RedirectResponse(f"{request.scope['root_path']}/setup/job/{kind}/{job.id}", 303)


def _counted(store: Store) -> Callable[[Job], Awaitable[effects.Effects]]:
    async def plan(job: Job) -> effects.Effects:
        revision, mapping = store.config.revision(), store.config.mapping_revision()
        users = len({row.user_id for row in store.config.mapping() if row.enabled})
        rate = revision.settings.limits.welkin_requests_per_second
        most = effects.sample_sizes(users, rate)[0].most
        found = await effects.work(store, revision.settings, most)(job)
        note_dry_run(store, found.effects, revision.id, mapping, SystemClock().now())
        return found

    return plan


@router.get("/setup/job/{kind}/{number}")
def work(request: Request, kind: Kind, number: str) -> Response:
    """How far it is; the list again once its result stands there.

    Raises:
        Problem: it has failed, or was too long ago.
    """
    job = JOBS.find(number, f"setup-{kind}")
    state = job.state if job is not None else "running"
    if state == "done" and kind != "people":
        address = f"{request.scope['root_path']}/setup#{kind}"
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"HX-Redirect": address})
        return RedirectResponse(address, 303)
    if job is not None and state not in {"running", "done"}:
        raise Problem(
            503, job.problem or "It was cancelled.", link=("Back to the set-up", "/setup")
        )
    return render(
        request,
        "setup_job.html",
        title=TITLES[kind],
        kind=kind,
        job=job,
        running=state == "running",
        number=number,
    )
