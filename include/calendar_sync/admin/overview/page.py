"""Overview: is everything in step?"""

import json
from datetime import timedelta
from typing import Any, Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.setup import page as setup
from calendar_sync.admin.setup.state import set_up
from calendar_sync.admin.web.opening import NOT_SET_UP, store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wording import DIRECTIONS, PLATFORMS
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import code_of
from calendar_sync.insight.overview import DAY, Overview
from calendar_sync.insight.overview import overview as read

router = APIRouter()


@router.get("/")
async def overview(request: Request, runs: Literal["", "all", "working"] = "") -> Response:
    """The first page; `runs` is which of the last ones are listed.

    Before there are any it is the set-up.
    """
    try:
        found, begun = await run_in_threadpool(_read, request, working=runs == "working")
    except Problem as problem:
        if problem.kind != NOT_SET_UP:
            raise
        return await setup.page(request)
    if not found.platforms or not (begun or (await set_up(request)).done):
        return await setup.page(request)
    now = SystemClock().now()
    return render(
        request,
        "overview.html",
        found=found,
        chart=chart(found, now),
        working=runs == "working",
        code_of=code_of,
    )


def _read(request: Request, *, working: bool) -> tuple[Overview, bool]:
    """The overview, and whether the sync has begun: a run has ended, or the sync is paused."""
    store = store_of(request)
    found = read(store, store.config.revision().settings, SystemClock().now(), working=working)
    stopped = any(one.fault for one in found.platforms)
    return found, stopped or store.runs.any_sync()


def chart(found: Overview, now: Any) -> dict[str, Any]:
    """Events by hour: a series for each platform and direction, zeros filled in.

    `json` is what the script draws; the rest becomes the table for those who cannot see it.
    """
    last = now.replace(minute=0, second=0, microsecond=0)
    starts = [last - DAY + timedelta(hours=number + 1) for number in range(24)]
    counts = {(hour.start, hour.platform, hour.direction): hour.events for hour in found.hours}
    series = [
        {
            "name": f"{PLATFORMS[one.platform]}, {words}",
            "tone": f"{one.platform}-{direction}".replace("_", "-"),
            "values": [counts.get((start, one.platform, direction), 0) for start in starts],
        }
        for one in found.platforms
        for direction, words in DIRECTIONS.items()
    ]
    drawn = {"starts": [int(start.timestamp()) for start in starts], "series": series}
    return {"json": json.dumps(drawn), "starts": starts, "series": series}
