"""Overview: is everything in step?"""

import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wording import DIRECTIONS, PLATFORMS
from calendar_sync.core.clock import SystemClock
from calendar_sync.insight.overview import DAY, Overview
from calendar_sync.insight.overview import overview as read
from calendar_sync.state import Store

router = APIRouter()


@router.get("/")
def overview(
    request: Request,
    store: Annotated[Store, Depends(store_of)],
    runs: Literal["", "all", "working"] = "",
) -> Response:
    """The first page; `runs` is which of the last ones are listed."""
    now = SystemClock().now()
    settings = store.config.revision().settings
    working = runs == "working"
    found = read(store, settings, now, working=working)
    return render(request, "overview.html", found=found, chart=chart(found, now), working=working)


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
