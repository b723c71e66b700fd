"""Activity: what was written on either side, by whom it was asked for, and whether it worked."""

from dataclasses import fields
from datetime import UTC
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from calendar_sync.admin.web import exports, live
from calendar_sync.admin.web.inputs import AnyPlatform, AnyStep, AnyTime, Key, Text, Zone, in_zone
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.rendering import render
from calendar_sync.core.model import UNRECORDED, Step, iso
from calendar_sync.insight.activity import Asked, Entry, every
from calendar_sync.insight.activity import page as read
from calendar_sync.state import Store
from calendar_sync.state.audit import PROBLEMS

router = APIRouter()
Opened = Annotated[Store, Depends(store_of)]
#: Lines of an export.
MOST = 100_000
_HEAD = tuple(field.name for field in fields(Entry))


def asked(
    user: Text = "",
    platform: AnyPlatform = None,
    step: AnyStep = None,
    outcome: Text = "",
    run_id: Text = "",
    since: AnyTime = None,
    until: AnyTime = None,
    before: Key = None,
    zone: Zone = "",
) -> Asked:
    """What the address asks for; times without a zone of their own are in `zone`, else in UTC."""
    begin, end = in_zone(since, zone), in_zone(until, zone)
    return Asked(user, platform, step, outcome, run_id, begin, end, before)


Filters = Annotated[Asked, Depends(asked)]


@router.get("/activity")
def activity(request: Request, store: Opened, asked: Filters, zone: Zone = "") -> Response:
    """One page of the log."""
    shown = ZoneInfo(zone) if zone else UTC
    root = request.scope["root_path"]
    return render(
        request,
        "activity.html",
        found=read(store, asked),
        asked=asked,
        zone=zone,
        since=f"{asked.since.astimezone(shown):%Y-%m-%dT%H:%M}" if asked.since else "",
        until=f"{asked.until.astimezone(shown):%Y-%m-%dT%H:%M}" if asked.until else "",
        all_steps=[step for step in Step if step not in UNRECORDED],
        address=f"{root}/activity?{request.url.query}",
        export=f"{root}/activity.csv?{request.url.query}",
        most=MOST,
    )


@router.get("/activity.csv")
def export(store: Opened, asked: Filters) -> Response:
    """All of it that the filters let through, newest first."""
    lines = (
        [iso(entry.at) if name == "at" else getattr(entry, name) for name in _HEAD]
        for entry in every(store, asked, MOST)
    )
    return StreamingResponse(
        exports.rows(_HEAD, lines),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="calendar-sync-activity.csv"'},
    )


@router.get("/activity/check")
def check(request: Request, store: Opened) -> Response:
    """Check the hash chain of all operations: part of a page."""
    problems = live.check_record(store)
    return render(
        request,
        "check.html",
        problems=problems[:100],
        count=len(problems),
        more=len(problems) == PROBLEMS,
    )
