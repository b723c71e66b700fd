"""An item that causes an error is refused, and the others are decided about."""

from collections.abc import Iterator
from typing import TypeVar

from calendar_sync.core.model import Refusal, Source, Step
from calendar_sync.core.redaction import as_ours

Decided = TypeVar("Decided")


def guarded(
    step: Step, source: Source, decisions: Iterator[Decided]
) -> Iterator[Decided | Refusal]:
    """What is decided about one item: all of it, or that it could not be decided."""
    try:
        decided = list(decisions)
    except Exception as error:
        ours = as_ours(error)
        yield Refusal(step, source, ours.code, ours.detail)
    else:
        yield from decided
