"""What the person's own page says: for readers who do not run the sync."""

from collections.abc import Mapping

from calendar_sync.core.codes import Code, Whose
from calendar_sync.insight.user_state import UserState

#: How the sync of an account is doing, and what follows for its owner.
STATES: Mapping[UserState, str] = {
    UserState.NEEDS_ATTENTION: "The sync keeps failing. It goes on trying, but somebody must fix "
    "the cause.",
    UserState.RETRYING: "The last try failed. The sync tries again by itself.",
    UserState.LATE: "Changes take longer than usual. You need not do anything.",
    UserState.WAITING: "Some deletions look unusual. They wait until an administrator has looked "
    "at them; everything else is synced.",
    UserState.NEW: "The first sync has not run yet. You need not do anything.",
    UserState.OK: "Everything is up to date.",
    UserState.PAUSED: "The sync is paused. What is in your calendar and in Welkin stays as it is.",
    UserState.AWAY: "You are inactive in Welkin, so nothing is synced. If that is wrong, ask "
    "whoever manages Welkin's users.",
    UserState.DISABLED: "An administrator has switched off your sync. Ask them if you did not "
    "expect that.",
}

#: What became of an appointment, by the word of `insight/explain`.
OUTCOMES: Mapping[str, str] = {
    "mirror_ok": "It is in your calendar.",
    "to_create": "It is not in your calendar yet. The next sync puts it there.",
    "interrupted": "The sync was interrupted while it put this into your calendar. The next one "
    "finishes that.",
    "mirror_behind": "It has changed in Welkin. The next sync changes it in your calendar.",
    "mirror_edited": "It was changed in your calendar. The next sync decides by your "
    "organisation's rules: as a rule, Welkin's version comes back.",
    "mirror_missing": "It was deleted in your calendar. The next sync decides by your "
    "organisation's rules: as a rule, it comes back.",
    "mirror_unread": "It was put into your calendar, which cannot be read just now.",
    "dismissed": "You deleted it in your calendar. It comes back when the appointment changes in "
    "Welkin.",
    "retired": "It is too far in the past: it stays in your calendar and is no longer updated.",
    "removed": "It was in your calendar, and the sync has removed it.",
    "gone": "It no longer exists in Welkin. The next sync removes it from your calendar.",
    "cancelled": "It was cancelled in Welkin, so it is not in your calendar.",
    "not_participant": "You do not take part in it any more, according to Welkin.",
    "outside_window": "It is too far in the past or in the future. Your organisation sets how far "
    "the sync looks.",
    "pending": "Welkin does not say yet what kind of appointment it is. That takes a few minutes.",
    "unknown_type": "Welkin does not say what kind of appointment it is. Your organisation does "
    "not sync such appointments.",
    "filtered": "Your organisation does not sync this kind of appointment.",
    "empty_time": "It ends when it starts, according to Welkin. No calendar takes that.",
    "not_mapped": "Your sync does not include this calendar.",
    "disabled": "An administrator has switched off your sync.",
    "inactive": "You are inactive in Welkin, so nothing is synced.",
    "paused": "Your sync is paused. After the pause, it is put into your calendar if it is "
    "missing, and corrected if it has changed.",
    "not_connected": "Your organisation's sync is not connected to this calendar system.",
    "not_in_direction": "Your organisation syncs your calendar to Welkin only, so Welkin's "
    "appointments are not put into it.",
    "parked": "The sync has tried several times to put it into your calendar, without success. It "
    "tries again by itself.",
    "held": "Something about it looks unusual. It waits until an administrator has looked at it.",
    "left_in_account": "It is still in your former mailbox, which is cleaned up first.",
    "welkin_unread": "Welkin cannot be read just now. Try again in a few minutes.",
    "block": "It is time that the sync blocks in Welkin because of an event in your calendar.",
}

#: What is said of an outcome of a later version.
OTHER = "Ask your administrator; they can see the details."


def outcome(word: str) -> str:
    """A sentence about an appointment."""
    return OUTCOMES.get(word, OTHER)


def responsible(code: Code) -> str:
    """Who can fix it, as a part of a sentence."""
    if code.whose is Whose.OWNER:
        return "you, as the owner of the mailbox, or the administrator of the sync"
    if code.whose is Whose.SERVICE:
        return "nobody here: the service has a problem, and the sync tries again by itself"
    return str(code.whose)
