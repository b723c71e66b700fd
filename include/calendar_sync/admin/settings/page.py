"""Settings: a form over the whole model, what a change would do, and every revision so far."""

from functools import partial
from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calendar_sync.admin.settings import change as settings_change
from calendar_sync.admin.settings import effects, type_names
from calendar_sync.admin.settings.forms import entries, fill, sections
from calendar_sync.admin.settings.reading import Filling, read
from calendar_sync.admin.settings.samples import samples
from calendar_sync.admin.settings.usual import changed, defaults
from calendar_sync.admin.settings.words import FIELDS, full_name
from calendar_sync.admin.web.jobs import JOBS
from calendar_sync.admin.web.lanes import TYPES
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import environment, render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.differences import differences
from calendar_sync.config.settings import MirrorContent, Settings
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.state import Store
from calendar_sync.state.config import Revision

router = APIRouter(route_class=WideRoute)
environment().filters["entries"] = entries
environment().globals["full_name"] = full_name
Opened = Annotated[Store, Depends(store_of)]
Number = Annotated[int, Query(ge=0, le=2**31)]
Document = Annotated[str, Form(max_length=1_000_000)]
BasedOn = Annotated[int, Form(ge=0, le=2**31)]
HISTORY = 50


async def posted(request: Request) -> dict[str, list[str]]:
    """The form as it came: every value of every input."""
    async with request.form() as form:
        found: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            if isinstance(value, str):
                found.setdefault(name, []).append(value)
        return found


Posted = Annotated[dict[str, list[str]], Depends(posted)]


@router.get("/settings")
def settings(request: Request, store: Opened, saved: Number | None = None) -> Response:
    """The form."""
    filling = Filling(fill(store.config.revision().settings))
    return _form(request, store, filling, saved=saved)


@router.get("/settings/sample")
def sample(request: Request) -> Response:
    """What would appear in the calendar, as the inputs stand: part of a page."""
    filled: dict[str, list[str]] = fill(Settings())
    for name, value in _content(request).items():
        filled[name] = value
    filling = read(filled)
    content = filling.settings.mirror_content if filling.settings else None
    return render(request, "settings_sample.html", samples=_samples(content))


def _content(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {
        "mirror_content.baa_confirmed#set": [],
        "mirror_content.type_titles#key": [],
        "mirror_content.type_titles#value": [],
    }
    for name, value in request.query_params.multi_items():
        if name.startswith("mirror_content."):
            found.setdefault(name, []).append(value)
    return found


@router.post("/settings/types")
async def list_types(request: Request, store: Opened, form: Posted) -> Response:
    """The form as it was filled in, with the names of types that Welkin has."""
    problem = ""
    try:
        await TYPES.run(request, partial(type_names.ask, store))
    except Problem as found:
        problem = found.detail
    return _form(request, store, read(form), based_on=_based_on(form), problem=problem)


@router.post("/settings/review")
def review(request: Request, store: Opened, form: Posted) -> Response:
    """Check what was filled in; nothing is stored yet."""
    filling = read(form)
    if filling.settings is None:
        response = _form(request, store, filling, based_on=_based_on(form))
        response.status_code = 422
        return response
    return _review(request, store, filling.settings, _based_on(form))


@router.post("/settings/effect")
def begin_effect(
    request: Request,
    store: Opened,
    document: Document,
    most: Annotated[int, Form(ge=0, le=100_000)] = 0,
) -> Response:
    """Begin to plan everybody's cycle under the new settings: part of a page."""
    wanted = settings_change.from_text(document)
    job = JOBS.start(
        "effect",
        "a preview of changed settings",
        effects.work(store, wanted, most),
        request.state.viewer.id,
    )
    return render(request, "settings_effect.html", job=job, number=job.id)


@router.get("/settings/effect/{number}")
def effect(request: Request, number: str) -> Response:
    """How far it is, or what it found."""
    return render(request, "settings_effect.html", job=JOBS.find(number, "effect"), number=number)


@router.post("/settings/effect/{number}/cancel")
def cancel_effect(request: Request, number: str) -> Response:
    """Give it up."""
    job = JOBS.find(number, "effect")
    if job is not None:
        job.cancel()
    return render(request, "settings_effect.html", job=job, number=number)


@router.post("/settings")
def save(request: Request, store: Opened, document: Document, based_on: BasedOn) -> Response:
    """Store a revision; the second of two people is shown what the first has changed."""
    wanted = settings_change.from_text(document)
    try:
        number, _ = settings_change.save(request, store, wanted, based_on)
    except ConfigurationError:
        return _overtaken(request, store, wanted, based_on)
    root = request.scope["root_path"]
    return RedirectResponse(f"{root}/settings?saved={number}", 303)


@router.post("/settings/rebase")
def rebase(request: Request, store: Opened, document: Document, based_on: BasedOn) -> Response:
    """Apply a change to settings that were stored in the meantime, and review it again."""
    wanted = settings_change.from_text(document)
    merged, newest = settings_change.rebased(store, wanted, based_on)
    return _review(request, store, merged.settings, newest, overruled=merged.overruled)


@router.get("/settings/history")
def history(request: Request, store: Opened) -> Response:
    """Every revision: who, when, what."""
    found = [*store.config.revisions(HISTORY + 1), store.config.revision_of(0)]
    rows = [
        (one, sorted(differences(before.settings, one.settings))) for one, before in pairwise(found)
    ][:HISTORY]
    return render(request, "settings_history.html", rows=rows, current=store.config.revision())


@router.get("/settings/diff")
def diff(request: Request, store: Opened, one: Number, other: Number) -> Response:
    """What differs between two revisions."""
    before, after = _revision(store, one), _revision(store, other)
    return render(
        request,
        "settings_diff.html",
        before=before,
        after=after,
        changed=settings_change.shown(before.settings, after.settings),
    )


@router.post("/settings/restore")
def restore(
    request: Request, store: Opened, number: Annotated[int, Form(ge=0, le=2**31)]
) -> Response:
    """Look at an older revision's settings as a change, to be stored as a new revision."""
    wanted = _revision(store, number).settings
    if wanted.notify.refusal:
        raise Problem(422, f"Version {number} cannot be restored: {wanted.notify.refusal}.")
    return _review(request, store, wanted, store.config.revision().id, restores=number)


def _revision(store: Store, number: int) -> Revision:
    try:
        return store.config.revision_of(number)
    except ConfigurationError:
        raise Problem(404, f"Version {number} of the settings does not exist.") from None


def _based_on(form: dict[str, list[str]]) -> int:
    given = form.get("based_on", [""])[0]
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Problem(422, "The form does not say which version it is based on. Reload it.")
    return int(given)


def _samples(content: MirrorContent | None) -> list[object]:
    if content is None:
        return []
    by_type = (content.type_titles, content.colours, content.categories, content.buffers.types)
    names = (name for given in by_type for name in given if not {*name} & {*"*?"})
    return [*samples(content, names, SystemClock().now())]


def _form(
    request: Request,
    store: Store,
    filling: Filling,
    *,
    based_on: int | None = None,
    saved: int | None = None,
    problem: str = "",
) -> Response:
    current, mapping = store.config.revision(), store.config.mapping()
    differ, types = changed(filling.filled), type_names.kept(store)
    return render(
        request,
        "settings.html",
        sections=sections(),
        filling=filling,
        changed=differ,
        more={"changed": differ, "defaults": defaults(), "types": types, "fields": FIELDS},
        types=types,
        types_problem=problem,
        mapped=len({user.user_id for user in mapping if user.enabled}),
        current=current,
        based_on=current.id if based_on is None else based_on,
        samples=_samples(current.settings.mirror_content),
        saved=saved,
    )


def _review(
    request: Request,
    store: Store,
    wanted: Settings,
    based_on: int,
    *,
    overruled: tuple[str, ...] = (),
    restores: int | None = None,
) -> Response:
    current = store.config.revision()
    if based_on != current.id and current.settings != wanted:
        return _overtaken(request, store, wanted, based_on)
    changed = settings_change.shown(current.settings, wanted)
    users = len([user for user in store.config.mapping() if user.enabled])
    rate = current.settings.limits.welkin_requests_per_second
    return render(
        request,
        "settings_review.html",
        current=current,
        changed=changed,
        overruled=overruled,
        restores=restores,
        document=settings_change.to_text(wanted),
        harmless=settings_change.harmless(changed),
        samples=_samples(wanted.mirror_content),
        users=users,
        choices=effects.sample_sizes(users, rate),
    )


def _overtaken(request: Request, store: Store, wanted: Settings, based_on: int) -> Response:
    """The settings were changed in the meantime: their change and this one."""
    base, newest = _revision(store, based_on), store.config.revision()
    response = render(
        request,
        "settings_overtaken.html",
        base=base,
        newest=newest,
        theirs=settings_change.shown(base.settings, newest.settings),
        mine=settings_change.shown(base.settings, wanted),
        document=settings_change.to_text(wanted),
    )
    response.status_code = 409
    return response
