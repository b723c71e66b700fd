"""One user: how the sync is doing, what was done, what is in the way, and a push."""

from datetime import datetime
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.web import actions, live
from calendar_sync.admin.web.inputs import AnyPlatform, Text, UserId
from calendar_sync.admin.web.lanes import EXPLANATIONS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import airflow_root, render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform
from calendar_sync.insight.activity import Asked
from calendar_sync.insight.activity import page as activity_page
from calendar_sync.insight.explain.records import conflicts, parked_items
from calendar_sync.insight.own_calendars import own_calendar
from calendar_sync.insight.profiles import changed_by
from calendar_sync.insight.users import listed_user
from calendar_sync.operations import pausing
from calendar_sync.orchestration.airflow_pages import find_page
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
SHOWN = 50
Opened = Annotated[Store, Depends(store_of)]


@router.get("/users/{user_id}")
def user(request: Request, user_id: UserId, store: Opened, asked: Text = "") -> Response:
    """The page of one user; `asked` is the platform that was just told to sync.

    It looks again by itself until the run that was asked for has tried.
    """
    now, settings = SystemClock().now(), store.config.revision().settings
    rows, mapped = listed_user(store, settings, user_id, now), store.config.mapping(users=[user_id])
    timeline = activity_page(store, Asked(user=user_id), SHOWN)
    welkin = store.config.welkin_user(user_id)
    if not rows and not timeline.entries and welkin is None:
        raise Problem(404, "No user with this id is or was mapped.")
    return render(
        request,
        "user.html",
        user_id=user_id,
        rows=rows,
        welkin=welkin,
        timeline=timeline,
        profiles={row.profile: changed_by(settings, row.profile) for row in mapped if row.profile},
        own_calendars={
            row.platform.value: own
            for row in mapped
            if settings.knows(row.profile) and (own := own_calendar(settings, row))
        },
        paused=next((one for one in rows if one.paused_until), None),
        pausable=any(one.state.synced for one in rows),
        days=range(pausing.SHORTEST, pausing.LONGEST + 1),
        waiting=[one for one in store.runs.pending() if one.user_id == user_id],
        parked=[(each, one) for each in Platform for one in parked_items(store, user_id, each)],
        conflicts=[(at, one) for at in Platform for one in conflicts(store, user_id, at, now)],
        asked=asked,
        due=asked in set(Platform) and _due(store, user_id, Platform(asked), now),
    )


def _due(store: Store, user_id: str, platform: Platform, now: datetime) -> bool:
    state = store.marks.of(user_id, platform)
    return state.marked and not state.waiting(now)


@router.post("/users/{user_id}/sync")
def sync(request: Request, user_id: UserId, store: Opened, platform: Platform) -> Response:
    """Have the next run take this user up, whatever the back-off."""
    actions.sync_now(request, store, user_id, platform)
    return _back(request, user_id, f"?asked={platform.value}")


@router.post("/users/{user_id}/pause")
def pause(
    request: Request, user_id: UserId, store: Opened, days: Annotated[actions.Days, Form()]
) -> Response:
    """Leave the user alone for some days."""
    actions.pause(request, store, user_id, days)
    return _back(request, user_id)


@router.post("/users/{user_id}/resume")
def resume(request: Request, user_id: UserId, store: Opened) -> Response:
    """End the pause."""
    actions.resume(request, store, user_id)
    return _back(request, user_id)


def _back(request: Request, user_id: str, query: str = "") -> Response:
    address = f"{request.scope['root_path']}/users/{quote(user_id, safe='')}{query}"
    return RedirectResponse(address, status_code=303)


@router.get("/users/{user_id}/explanation")
async def explanation(
    request: Request, user_id: UserId, store: Opened, platform: AnyPlatform = None
) -> Response:
    """Why the user is up to date or not, from a look at both sides: part of a page."""
    found = await EXPLANATIONS.run(request, partial(live.explain, store, user_id, platform))
    return render(request, "explanation.html", answer=found)


@router.get("/airflow-page")
def airflow_page(
    request: Request, store: Opened, platform: Platform, run_id: Text = "", user_id: Text = ""
) -> Response:
    """Leads on to Airflow's page of a run, or of the user's task in it (the newest without one)."""
    account = ""
    if user_id:
        mapped = store.config.mapped(user_id, platform)
        account = mapped.account if mapped is not None else ""
    path = find_page(platform.value, run_id, account)
    if path is None:
        raise Problem(
            404,
            "This run does not exist in Airflow.",
            hints=(
                "Runs are tidied away after some days, and the command line makes none; what was "
                "done stays in Activity.",
            ),
        )
    return RedirectResponse(f"{airflow_root(request)}{path}", status_code=303)
