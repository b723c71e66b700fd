"""The API's part that changes things: settings, mapping, conflicts, approvals, connections."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, FailFast, Field, StringConstraints
from starlette.requests import Request

from calendar_sync.admin.api.reading import problems
from calendar_sync.admin.attention import decisions
from calendar_sync.admin.connections import tests as connection_tests
from calendar_sync.admin.connections.tests import Connection, Tested
from calendar_sync.admin.mapping import change as mapping
from calendar_sync.admin.mapping.rules import evaluated
from calendar_sync.admin.settings import change as settings_change
from calendar_sync.admin.web.actions import author
from calendar_sync.admin.web.inputs import AnyPlatform, PageNumber, Text
from calendar_sync.admin.web.lanes import READING, RULES, TESTS
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.mapping.rows import LATER, Place, Rows, staff_by_email
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser
from calendar_sync.insight.attention import (
    PAGE,
    Choice,
    OpenConflict,
    count_conflicts,
    open_conflicts,
)
from calendar_sync.insight.mapping_rules import Evaluation, last_evaluation
from calendar_sync.operations.approvals import Waiting, waiting
from calendar_sync.operations.mapping.rules import Mode as RuleMode
from calendar_sync.operations.mapping.taking import Mode
from calendar_sync.state import Store

router = APIRouter(
    tags=["v1"], responses=problems(401, 403, 404, 413, 422, 503), route_class=WideRoute
)
Opened = Annotated[Store, Depends(store_of)]
Revision = Annotated[int, Field(ge=0, le=2**31 - 1)]
CONFLICT = problems(409)


class SettingsNow(BaseModel):
    """The current settings; `revision` 0 are the defaults."""

    revision: int
    author: str
    created_at: datetime | None
    settings: dict[str, Any]


class NewSettings(BaseModel):
    """New settings; `revision` is the one that they are based on."""

    revision: Revision
    settings: dict[str, Any]


class Stored(BaseModel):
    """The current revision. `changed` is false if it was current before.

    `warnings` name settings that were given by an old name.
    """

    revision: int
    changed: bool
    warnings: list[str] = []


class MappingRow(BaseModel):
    """One row; either the id or the e-mail address in Welkin names the user."""

    welkin_user_id: Annotated[str, StringConstraints(max_length=64)] = ""
    email: Annotated[str, StringConstraints(max_length=320)] = ""
    platform: Annotated[str, StringConstraints(max_length=16)]
    account: Annotated[str, StringConstraints(max_length=320)]
    enabled: bool = True
    direction: Annotated[str, StringConstraints(max_length=32)] | None = None
    profile: Annotated[str, StringConstraints(max_length=64)] = ""
    busy_calendars: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^\S{1,255}$")]], Field(max_length=10)
    ] = []
    mirrors_calendar: Annotated[str, StringConstraints(max_length=255)] = ""


class Mapped(BaseModel):
    """The whole mapping; `revision` is the one that it is, or that it was made from."""

    revision: Revision
    users: Annotated[list[MappingRow], Field(max_length=200_000), FailFast()]


class WholeMapping(Mapped):
    """The whole mapping; `remove` confirms how many rows are removed or disabled by it.

    It is required for all rows, and for more than three rows and more than
    `deletion_guard.max_share` of all.
    """

    remove: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class MappingStored(BaseModel):
    """What a new mapping has changed."""

    revision: int
    added: int
    changed: int
    removed: int


class Evaluate(BaseModel):
    """Show what would change, do what the day's evaluation does, or take all proposals over."""

    mode: RuleMode = RuleMode.DRY_RUN


class Conflicts(BaseModel):
    """One page of the open conflicts."""

    total: int
    conflicts: list[OpenConflict]


class Decision(BaseModel):
    """What to do about a conflict: one of its `choices`."""

    choice: Choice


class Digests(BaseModel):
    """What to approve."""

    digests: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]],
        Field(min_length=1, max_length=2000),
    ]


class Answers(Digests):
    """What to say to them: approve, or keep things as they are for a day."""

    answer: Literal["approve", "keep"] = "approve"


class Approved(BaseModel):
    """How many users each approval, or each "keep for now", concerns."""

    approved: dict[str, int]
    kept: dict[str, int] | None = None


@router.get("/settings")
def read_settings(store: Opened) -> SettingsNow:
    """The current settings, defaults included."""
    found = store.config.revision()
    document = found.settings.model_dump(mode="json")
    return SettingsNow(
        revision=found.id, author=found.author, created_at=found.created_at, settings=document
    )


@router.put("/settings", responses=CONFLICT, response_model_exclude_defaults=True)
def put_settings(request: Request, store: Opened, new: NewSettings) -> Stored:
    """Store a revision. A setting that is left out gets its default."""
    warnings: list[str] = []
    wanted = settings_change.checked(new.settings, warnings.append)
    try:
        number, changed = settings_change.save(request, store, wanted, new.revision)
    except ConfigurationError as error:
        raise Problem(409, error.detail) from None
    return Stored(revision=number, changed=changed, warnings=warnings)


@router.get("/mapping")
def read_mapping(
    store: Opened, at: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None
) -> Mapped:
    """Every row; those of an older revision with `at`: put them, and the mapping is rolled back.

    `revision` is the newest in either case.
    """
    # Revision first: if rows change in between, an import of them is refused.
    revision = store.config.mapping_revision()
    try:
        rows_then = store.config.mapping() if at is None else store.config.mapping_of(at)
    except ConfigurationError as error:
        raise Problem(404, error.detail) from None
    emails = {user.id: user.email for user in store.config.welkin_users()}
    rows = [
        MappingRow(
            welkin_user_id=row.user_id,
            email=emails.get(row.user_id, ""),
            platform=row.platform.value,
            account=row.account,
            enabled=row.enabled,
            direction=row.direction.value if row.direction else None,
            profile=row.profile,
            busy_calendars=list(row.busy_calendars),
            mirrors_calendar=row.mirrors_calendar,
        )
        for row in rows_then
    ]
    return Mapped(revision=revision, users=rows)


@router.put("/mapping", responses=CONFLICT)
def put_mapping(request: Request, store: Opened, new: WholeMapping) -> MappingStored:
    """Make the mapping exactly these rows, or refuse all of them."""
    return _take(request, store, _rows(store, new), Mode.REPLACE, new.revision, new.remove)


@router.patch("/mapping", responses=CONFLICT)
def patch_mapping(request: Request, store: Opened, new: WholeMapping) -> MappingStored:
    """Add these rows, or change them; all others stay.

    So do profile and calendars of a row that names none.
    """
    return _take(request, store, _rows(store, new, LATER), Mode.MERGE, new.revision, new.remove)


@router.get("/mapping/rules")
def read_rules(store: Opened) -> Evaluation:
    """What the last evaluation of the mapping rules found."""
    found = last_evaluation(store)
    if found is None:
        raise Problem(404, "The mapping rules have not been evaluated yet.")
    return found


@router.post("/mapping/rules", responses=problems(409, 429))
async def evaluate_rules(request: Request, store: Opened, wanted: Evaluate) -> Evaluation:
    """Evaluate the mapping rules now. One at a time."""
    work = partial(evaluated, store, wanted.mode, author(request))
    return await RULES.run(request, work)


def _rows(store: Store, new: Mapped, kept: frozenset[str] = frozenset()) -> list[MappedUser]:
    rows = Rows(staff_by_email(store.config.welkin_users()))
    for number, each in enumerate(new.users):
        values = each.model_dump(exclude_none=True)
        values["busy_calendars"] = " ".join(each.busy_calendars)
        texts = {name: str(value) for name, value in values.items()}
        rows.add(_place(number), texts, kept - each.model_fields_set)
    try:
        rows.refuse("mapping")
    except ConfigurationError as error:
        raise Problem(422, error.detail) from None
    return rows.users


def _take(
    request: Request,
    store: Store,
    rows: list[MappedUser],
    mode: Mode,
    revision: int,
    remove: int | None,
) -> MappingStored:
    try:
        found = mapping.take(request, store, rows, mode, revision, remove)
    except ConfigurationError as error:
        raise Problem(
            409 if error.code == RequestCode.CHANGED_MEANWHILE else 422, error.detail
        ) from None
    return MappingStored(
        revision=found.revision,
        added=len(found.added),
        changed=len(found.changed),
        removed=len(found.removed),
    )


def _place(number: int) -> Place:
    return lambda column: f"users.{number}" + (f".{column}" if column else "")


@router.get("/conflicts")
def read_conflicts(
    store: Opened,
    q: Text = "",
    platform: AnyPlatform = None,
    page: PageNumber = 1,
    size: Annotated[int, Query(ge=1, le=500)] = PAGE,
) -> Conflicts:
    """One page of the open conflicts, those where something is left undecided first."""
    now = SystemClock().now()
    found = open_conflicts(store, now, platform=platform, search=q, page=page, size=size)
    return Conflicts(total=count_conflicts(store, platform, q, now), conflicts=found)


@router.post("/conflicts/{number}", responses=CONFLICT)
def decide(
    request: Request,
    store: Opened,
    number: Annotated[int, Path(ge=1, le=2**63 - 1)],
    decision: Decision,
) -> OpenConflict:
    """Decide about one conflict; returns it as it was."""
    return decisions.decide(request, store, number, decision.choice)


@router.get("/approvals")
def read_approvals(store: Opened) -> list[Waiting]:
    """What waits for a person; `users` are accounts with their counts."""
    return waiting(store)


@router.post("/approvals", responses=CONFLICT, response_model_exclude_none=True)
def answer(request: Request, store: Opened, wanted: Answers) -> Approved:
    """Approve for 24 hours, or keep for a day; 0 where nothing waits under a digest."""
    if wanted.answer == "keep":
        return Approved(approved={}, kept=decisions.decline(request, store, wanted.digests))
    return Approved(approved=decisions.grant(request, store, wanted.digests))


@router.get("/connections")
async def read_connections(request: Request) -> list[Connection]:
    """Which connections are configured; never what they hold."""
    return await READING.run(request, connection_tests.connections)


@router.post("/connections/{name}/test", responses=problems(429))
async def test(
    request: Request, store: Opened, name: Annotated[str, Path(pattern="^[a-z_]{1,64}$")]
) -> Tested:
    """Try one without writing anything; one at a time."""
    return await TESTS.run(request, partial(connection_tests.test, store, name))
