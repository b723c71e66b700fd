"""User mapping: which Welkin user belongs to which account."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.mapping import change
from calendar_sync.admin.mapping.rows import listed
from calendar_sync.admin.web.inputs import AnyPlatform, PageNumber, Text
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.mapping import Format, write_mapping
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, Platform
from calendar_sync.insight.mapping_rules import last_evaluation
from calendar_sync.insight.users import listed_user
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
Only = Literal["", "enabled", "disabled", "wrong"]
OnPlatform = Annotated[Platform, Form()]
UserId = Annotated[str, Form(max_length=64)]
Name = Annotated[str, Form(max_length=320)]
AnyDirection = Annotated[
    Direction | None, BeforeValidator(lambda value: None if value == "" else value), Form()
]
HISTORY = 100


@router.get("/mapping")
def mapping(
    request: Request,
    store: Opened,
    q: Text = "",
    platform: AnyPlatform = None,
    only: Only = "",
    page: PageNumber = 1,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The table."""
    settings = store.config.revision().settings
    return render(
        request,
        "mapping.html",
        found=listed(store, q, platform, only, page),
        search=q,
        platform=platform,
        only=only,
        done=done,
        directions_of=list(Direction),
        unmapped=settings.on_unmapped,
        rules=last_evaluation(store) if settings.mapping_rules else None,
        ruled=bool(settings.mapping_rules),
        address=f"{request.scope['root_path']}/mapping?{request.url.query}",
    )


@router.get("/mapping/row")
def row(
    request: Request,
    store: Opened,
    user: Text = "",
    platform: AnyPlatform = None,
) -> Response:
    """One row to change, or an empty one to add."""
    found = store.config.mapped(user, platform) if user and platform else None
    if user and found is None:
        raise Problem(404, "This row does not exist.")
    return _row(request, store, change.values_of(found))


@router.post("/mapping/row")
def set_row(
    request: Request,
    store: Opened,
    user: Name,
    platform: OnPlatform,
    account: Name,
    enabled: Annotated[bool, Form()] = False,
    direction: AnyDirection = None,
    profile: Annotated[str, Form(max_length=64)] = "",
    busy_calendars: Annotated[str, Form(max_length=3000)] = "",
    mirrors_calendar: Annotated[str, Form(max_length=320)] = "",
    revision: Annotated[int | None, Form(ge=0, le=2**31)] = None,
) -> Response:
    """Add a row, or change the one that there is: `revision` is the number that it was shown at."""
    values = {
        "user": user.strip(),
        "platform": platform.value,
        "account": account.strip(),
        "enabled": enabled,
        "direction": direction.value if direction else "",
        "profile": profile.strip(),
        "busy_calendars": busy_calendars,
        "mirrors_calendar": mirrors_calendar.strip(),
        "revision": revision,
    }
    try:
        change.set_row(request, store, values)
    except ConfigurationError as error:
        if error.code == RequestCode.CHANGED_MEANWHILE:
            return _changed_meanwhile(request, store, user.strip(), platform)
        response = _row(request, store, values, mistake=error.detail)
        response.status_code = 422
        return response
    return _back(request, "added" if revision is None else "changed")


@router.get("/mapping/switch")
def ask(
    request: Request,
    store: Opened,
    user: Text,
    platform: AnyPlatform,
    to: Literal["disable", "remove"],
) -> Response:
    """Ask before a row is disabled or removed; names the user and what is deleted."""
    found = store.config.mapped(user, platform) if platform else None
    if found is None:
        raise Problem(404, "This row does not exist.")
    settings, now = store.config.revision().settings, SystemClock().now()
    listed = [one for one in listed_user(store, settings, user, now) if one.platform == platform]
    staff = store.config.welkin_user(user)
    return render(
        request,
        "mapping_switch.html",
        row=found,
        to=to,
        email=staff.email if staff else "",
        mirrors=sum(one.mirrors for one in listed),
        blocks=sum(one.blocks for one in listed),
        unmapped=settings.on_unmapped,
    )


@router.post("/mapping/switch")
def switch(
    request: Request,
    store: Opened,
    user_id: UserId,
    platform: OnPlatform,
    to: Annotated[Literal["enable", "disable", "remove"], Form()],
) -> Response:
    """Enable, disable or remove one row."""
    change.switch(request, store, user_id, platform, to)
    return _back(request, f"{to}d")


@router.get("/mapping/history")
def history(request: Request, store: Opened, account: Text = "") -> Response:
    """Who changed which row when."""
    found = store.config.mapping_history(account=account.strip() or None, newest=HISTORY)
    return render(
        request,
        "mapping_history.html",
        changes=found,
        account=account,
        newest=HISTORY,
        current=store.config.mapping_revision(),
    )


@router.get("/mapping.csv")
def export_csv(store: Opened) -> Response:
    """The mapping as a file that can be imported again; nothing in it is a formula."""
    return _export(store, Format.CSV, "text/csv; charset=utf-8")


@router.get("/mapping.yaml")
def export_yaml(store: Opened) -> Response:
    """The same, with the revision that it was made from."""
    return _export(store, Format.YAML, "application/yaml; charset=utf-8")


def _export(store: Store, form: Format, kind: str) -> Response:
    # Revision first: if rows change in between, an import of them is refused.
    revision = store.config.mapping_revision()
    emails = {user.id: user.email for user in store.config.welkin_users()}
    text = write_mapping(store.config.mapping(), form, emails=emails, revision=revision)
    name = f'attachment; filename="user_mapping.{form.value}"'
    return Response(text, media_type=kind, headers={"content-disposition": name})


def _row(
    request: Request, store: Store, values: Mapping[str, object], *, mistake: str = ""
) -> Response:
    emails = sorted(user.email for user in store.config.welkin_users() if user.active)
    return render(
        request,
        "mapping_row.html",
        values=values,
        old=values["revision"] is not None,
        mistake=mistake,
        emails=[email for email in emails if email][:2000],
        directions_of=list(Direction),
        profiles=sorted(store.config.revision().settings.profiles),
    )


def _changed_meanwhile(
    request: Request, store: Store, user_id: str, platform: Platform
) -> Response:
    """The row as it is now, and who changed it."""
    history = store.config.mapping_history(user_id)
    newest = next((one for one in history if one.platform is platform), None)
    by = f" by {newest.author}, {newest.at:%Y-%m-%d %H:%M} UTC" if newest else ""
    said = f"The row was changed in the meantime{by}. Below are the current values."
    found = store.config.mapped(user_id, platform)
    response = _row(request, store, change.values_of(found), mistake=said)
    response.status_code = 409
    return response


def _back(request: Request, done: str) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}/mapping?done={done}", 303)
