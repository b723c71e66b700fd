"""Words of the pages for what the state database holds as codes."""

from collections.abc import Mapping

from calendar_sync.core.advice import advice
from calendar_sync.core.model import ConflictKind
from calendar_sync.operations.approvals import WORDS as APPROVALS

PLATFORMS: Mapping[str, str] = {"google": "Google", "microsoft": "Microsoft 365"}
STEPS: Mapping[str, str] = {
    "create_mirror": "mirror created",
    "adopt_mirror": "mirror found again",
    "update_mirror": "mirror changed",
    "delete_mirror": "mirror removed",
    "create_block": "block created",
    "adopt_block": "block found again",
    "update_block": "block changed",
    "delete_block": "block removed",
    "reschedule": "appointment rescheduled",
    "cancel": "appointment cancelled",
    "decision": "decision of a person",
    "read": "reading it from the calendar",
    "follow": "reading the list of changes",
    "sync": "sync of the user",
}
DIRECTIONS: Mapping[str, str] = {"to_calendar": "to the calendar", "to_welkin": "to Welkin"}
CONFLICTS: Mapping[str, str] = {kind.value: kind.label for kind in ConflictKind}


def remedy(code: str) -> str:
    """What to do about an error, as a sentence."""
    said = advice(code)
    return sentence(said) + ("" if said.endswith(("?", ".")) else ".") if said else ""


def done(step: str, count: int) -> str:
    """How often it was done: `1 mirror created`, `6 mirrors created`."""
    noun, space, verb = STEPS.get(step, step).partition(" ")
    return f"{count} {noun}{'s' if space and count != 1 else ''}{space}{verb}"


def sentence(text: str) -> str:
    """The same words, beginning large."""
    return f"{text[:1].upper()}{text[1:]}"


GLOBALS: Mapping[str, object] = {
    "platforms": PLATFORMS,
    "steps": STEPS,
    "directions": DIRECTIONS,
    "conflict_words": CONFLICTS,
    "approval_words": APPROVALS,
}
