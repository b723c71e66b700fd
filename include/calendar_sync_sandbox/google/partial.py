"""Partial answers: the ``fields`` parameter.

https://developers.google.com/workspace/calendar/api/guides/performance
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from calendar_sync_sandbox.google.errors import bad_parameter

# A mask maps a field to the mask inside it; an empty mask takes everything.
Mask = dict[str, Any]


def select(body: Any, fields: str) -> Any:
    """Return only the fields asked for, e.g. ``items(id,start/date),nextPageToken``.

    Raises:
        GoogleError: 400 ``invalidParameter`` for text that is not a selection.
    """
    return _apply(body, _parse(fields))


def _apply(body: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return body
    if isinstance(body, list):
        return [_apply(item, mask) for item in body]
    if isinstance(body, dict):
        return {name: _apply(body[name], inner) for name, inner in mask.items() if name in body}
    return body


@lru_cache(maxsize=64)
def _parse(fields: str) -> Mask:
    mask, rest = _group(fields.replace(" ", ""))
    if rest or not mask:
        raise bad_parameter("fields", f"Invalid field selection {fields[:40]}", "invalidParameter")
    return mask


def _group(text: str) -> tuple[Mask, str]:
    mask: Mask = {}
    while True:
        here = mask
        while True:
            end = next((n for n, c in enumerate(text) if c in ",/()"), len(text))
            name, text = text[:end], text[end:]
            if not name:
                return {}, text or "?"
            here = here.setdefault(name, {})
            if not text.startswith("/"):
                break
            text = text[1:]
        if text.startswith("("):
            inner, text = _group(text[1:])
            if not text.startswith(")") or not inner:
                return {}, text or "?"
            here.update(inner)
            text = text[1:]
        if not text.startswith(","):
            return mask, text
        text = text[1:]
