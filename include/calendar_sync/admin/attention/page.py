"""Attention: what waits for a person, what was decided without one, and what does not work."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.attention import decisions, held
from calendar_sync.admin.web.inputs import AnyPlatform, PageNumber, RowNumber, Text
from calendar_sync.admin.web.jobs import JOBS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform, Source
from calendar_sync.insight.attention import (
    PAGE,
    Choice,
    count_conflicts,
    count_parked,
    open_conflicts,
    parked_items,
    users_of,
)
from calendar_sync.insight.attention import decisions as decided
from calendar_sync.insight.users import Everybody
from calendar_sync.operations.approvals import waiting
from calendar_sync.state import Store
from calendar_sync.sync.roster import LEAVING, LEFT_RULE

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
Id = Annotated[str, Form(max_length=64)]
Item = Annotated[str, Form(max_length=1100)]
Digests = Annotated[list[str] | None, Form(max_length=2000)]
USERS_SHOWN = 20
APPROVALS_SHOWN = 100
FAILING_SHOWN = 100


@router.get("/attention")
def attention(
    request: Request,
    store: Opened,
    q: Text = "",
    platform: AnyPlatform = None,
    page: PageNumber = 1,
    parked_page: PageNumber = 1,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The whole page."""
    now = SystemClock().now()
    total = count_conflicts(store, platform, q, now)
    pages = _pages(total)
    page = min(page, pages)
    total_parked = count_parked(store, platform)
    parked_page = min(parked_page, _pages(total_parked))
    found = waiting(store)
    shown = found[:APPROVALS_SHOWN]
    failing = Everybody(store, store.config.revision().settings, now).needing_attention(platform)
    named = [name for one in shown for name in list(one.users)[:USERS_SHOWN]]
    return render(
        request,
        "attention.html",
        failing=failing[:FAILING_SHOWN],
        more_failing=max(0, len(failing) - FAILING_SHOWN),
        conflicts=open_conflicts(store, now, platform=platform, search=q, page=page),
        total=total,
        page=page,
        pages=pages,
        search=q,
        platform=platform,
        parked=parked_items(store, platform, page=parked_page),
        total_parked=total_parked,
        parked_page=parked_page,
        parked_pages=_pages(total_parked),
        waiting=shown,
        more_waiting=max(0, len(found) - APPROVALS_SHOWN),
        ids=users_of(store, named),
        leaving=(LEAVING, LEFT_RULE),
        users_shown=USERS_SHOWN,
        zone=store.config.revision().settings.zone(),
        recent=decided(store),
        done=done,
        address=f"{request.scope['root_path']}/attention?{request.url.query}",
    )


@router.post("/attention/conflicts/{number}")
def decide(
    request: Request, store: Opened, number: RowNumber, choice: Annotated[Choice, Form()]
) -> Response:
    """Decide about one conflict."""
    decisions.decide(request, store, number, choice)
    return _back(request, choice.value)


@router.post("/attention/dismiss")
def dismiss(
    request: Request,
    store: Opened,
    number: Annotated[list[RowNumber], Form(max_length=PAGE)],
) -> Response:
    """Take note of many conflicts at once; those that wait for more than that stay."""
    for each in dict.fromkeys(number):
        try:
            decisions.decide(request, store, each, Choice.DISMISS)
        except Problem as problem:
            if problem.status != 409:
                raise
    return _back(request, Choice.DISMISS.value)


@router.post("/attention/parked")
def try_again(
    request: Request,
    store: Opened,
    user_id: Id,
    platform: Annotated[Platform, Form()],
    step: Annotated[str, Form(max_length=16)],
    source_id: Item,
    original_start: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Have a parked item tried at once."""
    source = Source(source_id, original_start)
    decisions.try_again(request, store, user_id, platform, step, source)
    return _back(request, "try_again")


@router.post("/attention/approvals")
def answer(
    request: Request,
    store: Opened,
    digest: Digests = None,
    answer: Annotated[Literal["approve", "keep"], Form()] = "approve",
) -> Response:
    """Say yes or no to one or many."""
    if not digest:
        raise Problem(422, "Nothing is selected.", hints=("Go back and select what to answer.",))
    decide = decisions.grant if answer == "approve" else decisions.decline
    if not any(decide(request, store, digest).values()):
        raise Problem(
            409, "These changes no longer need approval. They were answered, or are resolved."
        )
    return _back(request, "approved" if answer == "approve" else "kept")


@router.post("/attention/held")
def begin_held(
    request: Request,
    store: Opened,
    user_id: Id,
    platform: Annotated[Platform, Form()],
    digest: Id,
) -> Response:
    """Begin to list what an approval would do to one user: part of a page."""
    job = JOBS.start(
        "held",
        "a preview for one user",
        held.work(store, user_id, platform, digest),
        request.state.viewer.id,
    )
    return render(request, "held.html", job=job, number=job.id)


@router.get("/attention/held/{number}")
def listed(request: Request, number: str) -> Response:
    """How far it is, or what it found."""
    return render(request, "held.html", job=JOBS.find(number, "held"), number=number)


def _pages(total: int) -> int:
    return max(1, -(-total // PAGE))


def _back(request: Request, done: str) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}/attention?done={done}", 303)
