"""The guides of the providers, from the documentation that is installed with us, as pages."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

import calendar_sync
from calendar_sync.admin.web.problems import Problem

NAMES = ("google", "microsoft", "welkin")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)]+)\)")
_GUIDE = re.compile(r"setup-(google|microsoft|welkin)\.md")


def read(name: str, root: str) -> tuple[str, Markup]:
    """Title and text of one guide; links to other guides begin with `root`.

    Raises:
        Problem: there is none of this name.
    """
    text = _text(name) if name in NAMES else ""
    if not text:
        raise Problem(404, "There is no such guide here.")
    title, _, rest = text.partition("\n")
    # Of other documents only the words stay; what is written in a guide is ours, and HTML is off.
    linked = _LINK.sub(lambda found: _linked(found[1], found[2], root), rest)
    made = MarkdownIt("commonmark", {"html": False}).enable("table").render(linked)
    # The Airflow UI frames these pages: a link that leaves them is followed by its own document.
    made = made.replace('<a href="https:', '<a class="airflow" href="https:')
    return title.lstrip("# "), Markup(made)  # noqa: S704 - escaped by the renderer


def _linked(words: str, target: str, root: str) -> str:
    found = _GUIDE.match(target)
    return f"[{words}]({root}/guides/{found[1]})" if found else words


@cache
def _text(name: str) -> str:
    file = _file(f"setup-{name}.md")
    return file.read_text("utf-8") if file is not None else ""


def _file(name: str) -> Path | None:
    """Beside the sources, or where the installation has put it."""
    beside = Path(calendar_sync.__file__).parents[2] / "docs" / name
    if beside.is_file():
        return beside
    try:
        installed = files("calendar-sync") or []
    except PackageNotFoundError:
        installed = []
    for one in installed:
        if one.name == name:
            return Path(str(one.locate()))
    return None
