"""What goes wrong with Welkin."""

from calendar_sync.core.codes.base import HANDLED, RETRIED, Code, Whose

_SEE = "see docs/setup-welkin.md"


class WelkinCode(Code):
    """What Welkin answers, or how its answer is wrong."""

    ACCESS_RESTRICTED = (
        "welkin_access_restricted", "the API client has no access to this user",
        "grant it in Welkin", Whose.WELKIN,
        f"the API client may not read calendar events in this environment; {_SEE}",
    )  # fmt: skip
    AUDIT_UNAVAILABLE = (
        "audit_unavailable", "the API client cannot read Welkin's audit log",
        "deletions are found more slowly until it may", Whose.WELKIN,
    )  # fmt: skip
    CLIENT_UNKNOWN = (
        "welkin_client_unknown", "Welkin does not know the API client of this tenant",
        _SEE, Whose.SYNC,
        "the server does not know the API client: check base URL, organization and token path; "
        f"{_SEE}",
    )  # fmt: skip
    DENIES_LIVING_EVENTS = (
        "welkin_denies_living_events", "Welkin said that existing events were not found",
        f"its answers were not used, and {RETRIED}", Whose.SERVICE,
    )  # fmt: skip
    DID_NOT_CANCEL = (
        "welkin_did_not_cancel", "Welkin did not cancel the appointment",
        "the synced event is put back", Whose.WELKIN,
    )  # fmt: skip
    DID_NOT_RESCHEDULE = (
        "welkin_did_not_reschedule", "Welkin did not move the appointment",
        "the synced event is put back", Whose.WELKIN,
    )  # fmt: skip
    FEED_DOES_NOT_ADVANCE = (
        "welkin_feed_does_not_advance", "Welkin's export repeats the same rows",
        "report it to Welkin", Whose.WELKIN,
    )  # fmt: skip
    GONE = ("welkin_gone", "Welkin has deleted the event", HANDLED, Whose.SERVICE)
    ITEM_RESTRICTED = (
        "welkin_item_restricted", "the API client has no access to this event",
        "grant it in Welkin", Whose.WELKIN,
    )  # fmt: skip
    NOT_FOUND = (
        "welkin_not_found", "Welkin no longer has the event", HANDLED, Whose.SERVICE,
        f"the organization has no such environment: check `instance`; {_SEE}",
    )  # fmt: skip
    RATE_LIMITED = ("welkin_rate_limited", "Welkin asks for a pause", RETRIED, Whose.SERVICE)
    REFUSED = (
        "welkin_refused", "Welkin rejects this event",
        "its own error code says why", Whose.WELKIN,
    )  # fmt: skip
    TOKEN_REJECTED = (
        "welkin_token_rejected", "Welkin rejects the access token",
        "the sync gets a new one", Whose.SERVICE,
    )  # fmt: skip
    TOKEN_UNREADABLE = (
        "welkin_token_unreadable", "Welkin's answer to a request for a token cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    # Welkin answers a wrong name and a wrong secret alike.
    UNAUTHORIZED = (
        "welkin_unauthorized", "Welkin rejects the API client",
        f"check its name and secret; {_SEE}", Whose.SYNC,
        f"the organization, the API client's name or its secret is wrong; {_SEE}",
    )  # fmt: skip
    UNAVAILABLE = (
        "welkin_unavailable", "Welkin did not answer as expected", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNREADABLE_EVENT = (
        "welkin_unreadable_event", "the event in Welkin has no time or no id",
        "check it in Welkin", Whose.WELKIN,
    )  # fmt: skip
    UNREADABLE_PAGE = (
        "welkin_unreadable_page", "a list of Welkin's cannot be read", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNSTABLE_PAGES = (
        "welkin_unstable_pages", "a list of Welkin's changed while it was read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
