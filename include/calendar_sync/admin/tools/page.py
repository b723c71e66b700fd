"""Tools: reports of the health check, what a mailbox showed, an un-sync before it is begun."""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from calendar_sync.admin.web import exports
from calendar_sync.admin.web.inputs import AnyPlatform, Text
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.core.dag_ids import UNSYNC
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform, iso
from calendar_sync.insight.exposure import Exposure, exposure
from calendar_sync.insight.health.render import KINDS
from calendar_sync.operations.unsync import standing
from calendar_sync.state import Store

router = APIRouter()
Opened = Annotated[Store, Depends(store_of)]
REPORTS, SHOWN = 60, 500
_HEAD = tuple(field.name for field in fields(Exposure))


@router.get("/tools")
def tools(request: Request, store: Opened) -> Response:
    """The list of tools."""
    return render(request, "tools.html", newest=store.health.report(), unsync=UNSYNC)


@router.get("/reports")
def reports(request: Request, store: Opened) -> Response:
    """The newest reports."""
    return render(request, "reports.html", found=store.health.reports(REPORTS))


@router.get("/reports/{number}")
def report(
    request: Request, store: Opened, number: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> Response:
    """One report: what needed a person, and the numbers of the day before."""
    found = store.health.report(number)
    if found is None:
        raise Problem(404, "This report does not exist.")
    return render(request, "report.html", found=found, document=found.document, kinds=KINDS)


@router.get("/exposure")
def exposed(request: Request, store: Opened, account: Text = "") -> Response:
    """Which appointments a mailbox showed, to what detail, from when until when."""
    name = account.strip()
    found = exposure(store, name) if name else []
    return render(
        request,
        "exposure.html",
        account=name,
        found=found[:SHOWN],
        more=max(0, len(found) - SHOWN),
        address=f"{request.scope['root_path']}/exposure.csv?{request.url.query}",
    )


@router.get("/exposure.csv")
def export(store: Opened, account: Text = "") -> Response:
    """All of it."""
    lines = (_line(one) for one in exposure(store, account.strip()))
    name = 'attachment; filename="exposure.csv"'
    return StreamingResponse(
        exports.rows(_HEAD, lines),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": name},
    )


def _line(one: Exposure) -> Sequence[object]:
    values = {name: getattr(one, name) for name in _HEAD}
    times = {name: iso(values[name]) if values[name] else "" for name in ("since", "until")}
    return list({**values, **times, "levels": ", ".join(one.levels)}.values())


@router.get("/unsync")
def unsync(
    request: Request, store: Opened, user: Text = "", platform: AnyPlatform = None
) -> Response:
    """What an un-sync would remove, of one user or of everybody; the DAG does it, after asking."""
    platforms = list(Platform) if platform is None else [platform]
    named = _ids(store, user.strip())
    try:
        rows = standing(store, platforms, named)
    except ConfigurationError:
        rows = []
    asked = {"users": named, "everybody": not named, "platform": platform or "both"}
    return render(
        request,
        "unsync.html",
        user=user,
        platform=platform,
        rows=rows[:SHOWN],
        accounts=len(rows),
        mirrors=sum(row.mirrors for row in rows),
        blocks=sum(row.blocks for row in rows),
        params=json.dumps(asked),
        dag=UNSYNC,
    )


def _ids(store: Store, user: str) -> list[str]:
    """The Welkin user of an id, an account, or an address in Welkin; empty for an empty text."""
    if "@" not in user:
        return [user] if user else []
    name = user.lower()
    held = {row.user_id for row in store.config.mapping() if row.account == name}
    held |= {one.id for one in store.config.welkin_users() if one.email.lower() == name}
    return sorted(held) or [user]
