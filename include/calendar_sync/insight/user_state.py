"""How a user can be doing: the codes, and how pages and the command line show each."""

from enum import StrEnum


class UserState(StrEnum):
    """The state of one (user, platform); the gravest first.

    The value is what the API, addresses, metrics and the report carry; `label` is for people.
    """

    NEEDS_ATTENTION = "needs_attention"
    RETRYING = "retrying"
    LATE = "late"
    WAITING = "waiting_for_approval"
    NEW = "not_synced_yet"
    OK = "ok"
    PAUSED = "paused"
    AWAY = "inactive_in_welkin"
    DISABLED = "disabled"

    @property
    def label(self) -> str:
        """In words: `needs attention`."""
        return self.value.replace("_", " ").replace("welkin", "Welkin")

    @property
    def sign(self) -> str:
        """A sign beside it, so that colours are not needed."""
        return _LOOKS[self][0]

    @property
    def tone(self) -> str:
        """The style class of its badge."""
        return _LOOKS[self][1]

    @property
    def synced(self) -> bool:
        """The account is kept in step, or should be."""
        return self not in NOT_SYNCED


#: Whose mirrors and blocks are to be removed, and whose calendars nobody keeps in step now.
GONE = (UserState.DISABLED, UserState.AWAY)
NOT_SYNCED = (*GONE, UserState.PAUSED)
_LOOKS = {
    UserState.NEEDS_ATTENTION: ("!", "bad"),
    UserState.RETRYING: ("↻", "warn"),
    UserState.LATE: ("!", "bad"),
    UserState.WAITING: ("?", "warn"),
    UserState.NEW: ("…", "calm"),
    UserState.OK: ("✓", "good"),
    UserState.PAUSED: ("‖", "calm"),
    UserState.AWAY: ("·", "calm"),
    UserState.DISABLED: ("·", "calm"),
}


def state_of(text: str) -> UserState | None:
    """The state of this code or label; None for a text that is neither."""
    code = text.strip().lower().replace(" ", "_")
    return next((state for state in UserState if state == code), None)
