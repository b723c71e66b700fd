"""My calendar sync: the sync of whoever is signed in, and of nobody else.

Whose page it is follows from the sign-in alone. No address, form or header names a user: whatever
else a request carries is not read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.mine import words
from calendar_sync.admin.web import actions, live
from calendar_sync.admin.web.guard import OWN
from calendar_sync.admin.web.inputs import AnyDay
from calendar_sync.admin.web.lanes import EXPLANATIONS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.mirror_content import LONGEST_CATEGORY
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Choices, Link, Platform, Source, Span
from calendar_sync.insight.attention import OpenConflict, Parked, open_conflicts, parked_items
from calendar_sync.insight.own import users_with
from calendar_sync.insight.users import listed_user
from calendar_sync.operations import pausing
from calendar_sync.operations.choosing import offer
from calendar_sync.state import Store
from calendar_sync.state import tables as t

router = APIRouter(prefix=OWN, route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
SHOWN = 20
#: How far a day may be away: a mirror never is.
FARTHEST = timedelta(days=800)


@dataclass(frozen=True)
class Own:
    """The mapped user who is signed in."""

    user_id: str
    store: Store


def own(request: Request, store: Opened) -> Own:
    """Who is signed in, by the addresses that Airflow's auth manager vouches for.

    Raises:
        Problem: 404, nobody or several mapped users have them.
    """
    viewer = request.state.viewer
    found = users_with(store, viewer.addresses)
    if len(found) == 1:
        return Own(found[0], store)
    if found:
        said = f"Your sign-in ({viewer.name}) fits {len(found)} synced users."
        todo = "Ask the administrator of the sync which of them you are: one address must be "
        todo += "one user's."
    else:
        said = f"No synced calendar belongs to your sign-in ({viewer.name})."
        todo = "If your calendar is synced, ask the administrator: your user name or e-mail "
        todo += "address in Airflow must be that of your mailbox, or of your user in Welkin."
    raise Problem(404, said, hints=(todo,), title="Your sync was not found")


Mine = Annotated[Own, Depends(own)]


@router.get("")
def mine(request: Request, own: Mine) -> Response:
    """The page."""
    now = SystemClock().now()
    store, user_id = own.store, own.user_id
    conflicts = open_conflicts(store, now, user_id=user_id, size=SHOWN)
    parked = parked_items(store, None, t.parked_item.c.user_id == user_id, size=SHOWN)
    settings = store.config.revision().settings
    rows = listed_user(store, settings, user_id, now)
    return render(
        request,
        "mine.html",
        rows=rows,
        paused=next((one for one in rows if one.paused_until), None),
        pausable=any(one.state.synced for one in rows),
        days=range(pausing.SHORTEST, pausing.LONGEST + 1),
        conflicts=conflicts,
        parked=parked,
        when=_times(store, user_id, [*conflicts, *parked]),
        offer=offer(settings, store.config.mapping(users=[user_id])),
        states=words.STATES,
        responsible=words.responsible,
        today=now.astimezone(_zone(own)).date(),
    )


@router.get("/day")
async def appointments(request: Request, own: Mine, day: AnyDay = None) -> Response:
    """Why the appointments of a day are in the calendar or not, from a look at both sides."""
    today = SystemClock().now().date()
    asked = day or today
    if abs(asked - today) > FARTHEST:
        raise Problem(422, "This day is too far away: the sync looks ahead about a year.")
    look = partial(live.explain_appointments, own.store, own.user_id, asked)
    found = await EXPLANATIONS.run(request, look)
    return render(request, "mine_day.html", found=found, outcome=words.outcome)


@router.post("/pause")
def pause(request: Request, own: Mine, days: Annotated[actions.Days, Form()]) -> Response:
    """Pause the own sync."""
    actions.pause(request, own.store, own.user_id, days)
    return _back(request)


@router.post("/resume")
def resume(request: Request, own: Mine) -> Response:
    """End the pause."""
    actions.resume(request, own.store, own.user_id)
    return _back(request)


@router.post("/choices")
def choices(
    request: Request,
    own: Mine,
    level: Annotated[str, Form(max_length=16)] = "",
    reminder: Annotated[str, Form(max_length=16)] = "",
    colour: Annotated[str, Form(max_length=16)] = "",
    category: Annotated[str, Form(max_length=LONGEST_CATEGORY)] = "",
) -> Response:
    """Store what the person has chosen."""
    chosen = Choices(level, reminder, colour, category)
    actions.choose(request, own.store, own.user_id, chosen)
    return _back(request)


def _back(request: Request) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}{OWN}", status_code=303)


def _zone(own: Own) -> ZoneInfo:
    known = own.store.config.welkin_user(own.user_id)
    return own.store.config.revision().settings.zone(known.time_zone if known else None)


def _times(
    store: Store, user_id: str, items: Iterable[OpenConflict | Parked]
) -> dict[tuple[Platform, Source], Span]:
    """When the items are, as far as links know; of this user alone."""
    links: list[Link] = store.links.of_sources({one.source.id for one in items})
    return {
        (link.platform, link.source): link.span
        for link in sorted(links, key=lambda link: link.id or 0)
        if link.user_id == user_id
    }
