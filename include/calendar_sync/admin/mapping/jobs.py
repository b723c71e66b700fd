"""What the mapping page has asked outside: proposals, and a check of the users shown."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.mapping import change
from calendar_sync.admin.mapping.rows import listed
from calendar_sync.admin.web import outside
from calendar_sync.admin.web.jobs import JOBS, Job
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.mapping import read_row
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import AccountVerdict
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.health import accounts
from calendar_sync.operations.mapping.proposing import Proposals, find_proposals
from calendar_sync.state import Store
from calendar_sync.state.health import Checked
from calendar_sync.state.rules import of_rule

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
BATCH = 10
MOST = 10_000


@dataclass(frozen=True)
class Offered:
    """The proposals, and what a person should know of how they were found."""

    found: Proposals
    told: list[str]


@router.post("/mapping/proposals")
def begin_proposals(request: Request, store: Opened) -> Response:
    """Begin to match users who are not mapped with accounts: part of a page."""
    job = JOBS.start(
        "proposals", "proposals for the mapping", proposals_work(store), request.state.viewer.id
    )
    return render(request, "mapping_proposals.html", job=job, number=job.id)


def proposals_work(store: Store) -> Callable[[Job], Awaitable[Offered]]:
    """Match users who are not mapped with accounts."""

    async def work(job: Job) -> Offered:
        told: list[str] = []
        async with outside.services(store, own_tokens=True) as services:
            return Offered(await find_proposals(services, None, told.append), told)

    return work


@router.get("/mapping/proposals/{number}")
def proposals(request: Request, number: str) -> Response:
    """What was found, or that it is still looked for."""
    job = JOBS.find(number, "proposals")
    return render(request, "mapping_proposals.html", job=job, number=number)


@router.post("/mapping/proposals/apply")
def apply_proposals(
    request: Request,
    store: Opened,
    based_on: Annotated[int, Form(ge=0, le=2**31)],
    row: Annotated[list[str] | None, Form(max_length=MOST)] = None,
    back: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Add the selected rows only; `back` is "setup" if the set-up began it."""
    if not row:
        raise Problem(422, "Nothing is selected.", hints=("Go back and select the rows to add.",))
    try:
        rules = {one.name: one.platform for one in store.config.revision().settings.mapping_rules}
        new = [_row(each, rules) for each in row]
        now = SystemClock().now()
        made = [of_rule(added, rule) for added, rule in new if rule]
        change.apply(
            request,
            store,
            lambda rows: [*rows, *(added for added, _ in new)],
            based_on,
            then=lambda connection: store.rules.save(connection, made, now),
        )
    except ConfigurationError as error:
        raise Problem(409, f"Nothing was added. {error.detail}.") from None
    path = "/setup#dry_run" if back == "setup" else "/mapping?done=proposed"
    return RedirectResponse(f"{request.scope['root_path']}{path}", 303)


def _row(text: str, rules: Mapping[str, Platform]) -> tuple[MappedUser, str]:
    """One selected row, and the rule that proposed it, empty for none."""
    wrong = Problem(422, "The proposals cannot be read. Find them again.")
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise wrong from None
    if not (isinstance(found, list) and len(found) in {3, 5}):
        raise wrong
    if not all(isinstance(value, str) for value in found):
        raise wrong
    user_id, platform, account, profile, rule = [*found, "", ""][:5]
    values = {
        "welkin_user_id": user_id,
        "platform": platform,
        "account": account,
        "profile": profile,
    }
    row = read_row(values, {})
    if rule and rules.get(rule) is not row.platform:
        raise Problem(409, f"There is no mapping rule {rule[:64]} any more. Find them again.")
    return row, rule


@router.post("/mapping/validate")
def begin_validation(
    request: Request,
    store: Opened,
    q: Annotated[str, Form(max_length=320)] = "",
    platform: Annotated[str, Form(max_length=16)] = "",
    only: Annotated[str, Form(max_length=16)] = "",
    page: Annotated[int, Form(ge=1, le=1_000_000)] = 1,
    alone: Annotated[bool, Form()] = False,
) -> Response:
    """Begin to look at every account that the page shows: part of a page, `alone` of another."""
    shown = listed(store, q, _platform(platform), only, page).rows
    wanted = [row.user for row in shown if row.user.enabled]
    job = JOBS.start(
        "validation",
        "a check of mapped accounts",
        _validate(store, wanted),
        request.state.viewer.id,
    )
    return _checked(request, job, job.id, alone)


@router.get("/mapping/validate/{number}")
def validation(request: Request, number: str, alone: bool = False) -> Response:
    """How far it is, or what it found."""
    return _checked(request, JOBS.find(number, "validation"), number, alone)


def _checked(request: Request, job: Job | None, number: str, alone: bool) -> Response:
    return render(request, "mapping_checked.html", job=job, number=number, alone=alone)


def _validate(store: Store, wanted: list[MappedUser]) -> Callable[[Job], Awaitable[list[Checked]]]:
    pairs = {(row.user_id, row.platform) for row in wanted}

    async def work(job: Job) -> list[Checked]:
        job.progress(0, len(pairs))
        found: list[Checked] = []
        settings = store.config.revision().settings
        async with outside.services(store, own_tokens=True) as services:
            for group in await accounts.groups(services):
                users = [user for user in group.users if (user, group.platform) in pairs]
                for first in range(0, len(users), BATCH):
                    some = replace(group, users=tuple(users[first : first + BATCH]))
                    found += await accounts.validate(services, settings, some)
                    job.progress(len(found), len(pairs))
        return sorted(found, key=lambda one: (one.verdict == AccountVerdict.OK, one.account))

    return work


def _platform(value: str) -> Platform | None:
    return Platform(value) if value in set(Platform) else None
