"""Texts of the pages for codes of the state database."""

from collections.abc import Mapping

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import ConflictKind, Platform
from calendar_sync.insight import step_words
from calendar_sync.operations.approvals import WORDS as APPROVALS

PLATFORMS: Mapping[str, str] = {each.value: each.label for each in Platform}
STEPS: Mapping[str, str] = {
    **step_words.STEPS,
    "decision": "decision",
    "read": "read from the calendar",
    "follow": "check for changes",
    "sync": "sync of the user",
}
DIRECTIONS: Mapping[str, str] = {"to_calendar": "to the calendar", "to_welkin": "to Welkin"}
CONFLICTS: Mapping[str, str] = {kind.value: kind.label for kind in ConflictKind}


def told(error: SyncError) -> str:
    """What is wrong and what to do, with the code for looking it up."""
    said = sentence(error.remedy)
    return f"{said}{'' if said.endswith(('?', '.')) else '.'} ({error.code})"


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return f"{text[:1].upper()}{text[1:]}"


GLOBALS: Mapping[str, object] = {
    "platforms": PLATFORMS,
    "steps": STEPS,
    "directions": DIRECTIONS,
    "conflict_words": CONFLICTS,
    "approval_words": APPROVALS,
}
