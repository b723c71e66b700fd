"""Templates: escaped always, and nothing undefined passes unseen."""

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse

from calendar_sync.admin.web import PREFIX, forgery
from calendar_sync.admin.web.access import Right, Viewer
from calendar_sync.admin.web.nav import NAV
from calendar_sync.admin.web.wording import GLOBALS, sentence
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import code_of
from calendar_sync.insight.step_words import done as steps_done

STATIC = Path(__file__).parent / "static"
#: Each page keeps its templates beside its code; their names are unique.
TEMPLATES = sorted(Path(__file__).parents[1].glob("*/templates"))


def render(request: Request, template: str, **values: Any) -> HTMLResponse:
    """A page, with what every page needs.

    `root` begins the address of our pages, `airflow` that of Airflow's; `csrf` is the token for
    forms, `may` what the viewer may do.
    """
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    root = request.scope.get("root_path", "")
    now = SystemClock().now()
    rights = viewer.rights if viewer is not None else frozenset()
    csrf = ""
    if viewer is not None and (Right.CHANGE in rights or getattr(request.state, "own", False)):
        csrf = forgery.token(request.app.state.access.secret(), viewer.id, now)
    text = (
        environment()
        .get_template(template)
        .render(
            root=root,
            airflow=airflow_root(request),
            nav=NAV,
            here=template,
            viewer=viewer,
            may={right.value: right in rights for right in Right},
            csrf=csrf,
            csrf_field=forgery.FIELD,
            assets=version(),
            now=now,
            **values,
        )
    )
    return HTMLResponse(text)


def airflow_root(request: Request) -> str:
    """What Airflow's own addresses begin with."""
    root: str = request.scope.get("root_path", "")
    return root.removesuffix(PREFIX)


@cache
def version() -> str:
    """Changes with the static files, so that browsers may keep them."""
    found = hashlib.sha256()
    for file in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def utc(value: datetime) -> str:
    """An instant as people write it."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(value: datetime | None, empty: str = "never") -> Markup:
    """An instant: a script shows it in the reader's zone, UTC stays in the title."""
    if value is None:
        return Markup('<span class="faint">{}</span>').format(empty)
    said = utc(value)
    iso = value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, said, said)


_SAID = re.compile(r"(\d{4}-\d\d-\d\d )?(\d\d:\d\d)(:\d\d)? UTC")


def timed(text: str, now: datetime) -> Markup:
    """A text with code (`ticks`) and times in UTC, shown in the reader's zone as all times are.

    A time without a date is of today, as `explain` says it.
    """
    made, end = Markup(""), 0
    for found in _SAID.finditer(text):
        day, minute, second = found.groups()
        said = f"{day or f'{now:%Y-%m-%d} '}{minute}{second or ''}"
        try:
            instant = datetime.fromisoformat(said).replace(tzinfo=UTC)
        except ValueError:
            continue
        made += ticks(text[end : found.start()]) + moment(instant)
        end = found.end()
    return made + ticks(text[end:])


def breakable(account: str) -> Markup:
    """An address that may go on in the next line before its domain."""
    return Markup("<wbr>@").join(account.split("@"))


def duration(seconds: float) -> str:
    """A length of time in the largest units that matter: `3 h 20 min`."""
    left = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for index, (name, size) in enumerate(units):
        if left >= size:
            rest = units[index + 1 : index + 2]
            more = [
                f"{left % size // small} {unit}" for unit, small in rest if left % size // small
            ]
            return " ".join([f"{left // size} {name}", *more])
    return "0 s"


def number(value: float) -> str:
    """Thousands apart: `10 000`, with a space that does not break."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 user`, `2 users`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def done(step: str, count: int) -> str:
    """`1 busy block created`, `10 000 busy blocks created`."""
    return steps_done(step, count).replace(",", "\N{NARROW NO-BREAK SPACE}")


def ticks(text: str) -> Markup:
    """The text; what stands in backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else Markup("{}").format(part)
        for index, part in enumerate(parts)
    )


def with_query(address: str, **changes: object) -> str:
    """The address with these query parameters set; None takes one away."""
    url = URL(address)
    gone = [name for name, value in changes.items() if value is None]
    kept = {name: value for name, value in changes.items() if value is not None}
    url = url.remove_query_params(gone) if gone else url
    return str(url.include_query_params(**kept) if kept else url)


@cache
def environment() -> Environment:
    """The one environment; a page adds the filters and globals that its own templates need."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        # Templates come with the code, which is not loaded again either.
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(ticks=ticks, timed=timed)
    found.filters.update(
        breakable=breakable, moment=moment, duration=duration, number=number, plural=plural
    )
    found.filters.update(done=done, code=code_of, sentence=sentence)
    found.globals.update(GLOBALS, with_query=with_query)
    return found
