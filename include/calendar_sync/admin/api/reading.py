"""The same data as JSON, for scripts: under /api/v1, described by /api/v1/openapi.json."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.requests import Request

from calendar_sync.admin.activity.page import asked
from calendar_sync.admin.users.page import wanted
from calendar_sync.admin.web import live
from calendar_sync.admin.web.actions import Days, pause, resume, sync_now
from calendar_sync.admin.web.inputs import AnyPlatform, UserId
from calendar_sync.admin.web.lanes import EXPLANATIONS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import Whose, all_codes
from calendar_sync.core.model import Platform
from calendar_sync.insight.activity import ActivityPage, Asked
from calendar_sync.insight.activity import page as activity_page
from calendar_sync.insight.explain import Explanation
from calendar_sync.insight.overview import Overview, overview
from calendar_sync.insight.profiles import Profile, profiles
from calendar_sync.insight.users import ListedUser, UserList, Wanted, list_users, listed_user
from calendar_sync.state import Store


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class Marked(BaseModel):
    """The user is taken up by the next run."""

    user_id: str
    platform: Platform


class PausedUntil(BaseModel):
    """Until when the sync of the user is paused; null if it is not."""

    user_id: str
    paused_until: datetime | None


class Check(BaseModel):
    """The check of the operations' hash chain: what is wrong, nothing when it is whole."""

    whole: bool
    problems: list[str]


class Meaning(BaseModel):
    """What a code of a failure means, what to do about it, and who can."""

    code: str
    label: str
    advice: str
    whose: Whose


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """How these answers are described."""
    content = {"application/problem+json": {"schema": ProblemBody.model_json_schema()}}
    return {code: {"description": "Problem", "content": content} for code in codes}


router = APIRouter(tags=["v1"], responses=problems(401, 403, 404, 413, 422, 503))
Opened = Annotated[Store, Depends(store_of)]


@router.get("/overview")
def read_overview(store: Opened) -> Overview:
    """Freshness, users by state, events by hour, requests, the last runs, faults."""
    return overview(store, store.config.revision().settings, SystemClock().now())


@router.get("/users")
def read_users(
    store: Opened,
    wanted: Annotated[Wanted, Depends(wanted)],
    size: Annotated[int, Query(ge=1, le=500)] = 50,
) -> UserList:
    """One page of the connected users."""
    sized = Wanted(**{**vars(wanted), "size": size})
    return list_users(store, store.config.revision().settings, sized, SystemClock().now())


@router.get("/users/{user_id}")
def read_user(store: Opened, user_id: UserId) -> list[ListedUser]:
    """One user, an entry for each platform."""
    settings = store.config.revision().settings
    found = listed_user(store, settings, user_id, SystemClock().now())
    if not found:
        raise Problem(404, "No user with this id is mapped.")
    return list(found)


@router.get("/profiles")
def read_profiles(store: Opened) -> list[Profile]:
    """Who has which profile of the settings, and what each changes."""
    return profiles(store, store.config.revision().settings)


@router.post("/users/{user_id}/sync", status_code=202, responses=problems(409))
def sync_user(request: Request, store: Opened, user_id: UserId, platform: Platform) -> Marked:
    """Have the next run take this user up, whatever the back-off."""
    sync_now(request, store, user_id, platform)
    return Marked(user_id=user_id, platform=platform)


@router.post("/users/{user_id}/pause", responses=problems(409))
def pause_user(
    request: Request, store: Opened, user_id: UserId, days: Annotated[Days, Query()]
) -> PausedUntil:
    """Leave a user alone for 1 to 14 days: nothing is asked or written on any platform."""
    until = pause(request, store, user_id, days)
    return PausedUntil(user_id=user_id, paused_until=until)


@router.delete("/users/{user_id}/pause", responses=problems(409))
def resume_user(request: Request, store: Opened, user_id: UserId) -> PausedUntil:
    """End a pause before its time; the next runs compare everything."""
    resume(request, store, user_id)
    return PausedUntil(user_id=user_id, paused_until=None)


@router.get("/users/{user_id}/explanation", responses=problems(429))
async def read_explanation(
    request: Request, store: Opened, user_id: UserId, platform: AnyPlatform = None
) -> Explanation:
    """Why the user is up to date or not, from a look at both sides. One at a time."""
    return await EXPLANATIONS.run(request, partial(live.explain, store, user_id, platform))


@router.get("/activity")
def read_activity(
    store: Opened,
    asked: Annotated[Asked, Depends(asked)],
    size: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ActivityPage:
    """Operations, newest first; `next` is the `before` of the page after."""
    return activity_page(store, asked, size)


@router.get("/activity/check", responses=problems(409))
def check_activity(store: Opened) -> Check:
    """Check the hash chain of all operations. Reads the whole record; one check at a time."""
    found = live.check_record(store)
    return Check(whole=not found, problems=found)


@router.get("/codes")
def read_codes() -> list[Meaning]:
    """Every code that `error`, `verdict` and `fault` may hold in the other answers."""
    codes = sorted(all_codes())
    return [Meaning(code=c, label=c.label, advice=c.advice, whose=c.whose) for c in codes]


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The description of this API (OpenAPI)."""
    return get_openapi(
        title="Welkin Calendar Sync",
        version="1",
        description="The data of the admin pages. Sign in as for Airflow's API: bearer token.",
        routes=request.app.routes,
        servers=[{"url": request.scope["root_path"]}],
    )
