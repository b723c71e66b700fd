"""What goes wrong with Microsoft 365."""

from calendar_sync.core.codes.base import HANDLED, READ_AGAIN, RETRIED, Code, Whose

_SEE = "see docs/setup-microsoft.md"
_CONSENT = f"an administrator must grant it; {_SEE}"


class MicrosoftCode(Code):
    """What Microsoft answers, or how its answer is wrong."""

    ACCESS_DENIED = (
        "microsoft_access_denied", "no access to this mailbox",
        "`calendar-sync check --account MAILBOX` says if consent or scope is missing",
        Whose.MICROSOFT,
    )  # fmt: skip
    ACCOUNT_UNKNOWN = (
        "microsoft_account_unknown", "the tenant has no such user", "correct the mapping",
        Whose.SYNC,
    )  # fmt: skip
    BUSY = ("microsoft_busy", "Exchange is overloaded", RETRIED, Whose.SERVICE)
    CALENDARS_DENIED = (
        "microsoft_calendars_denied", "no mailbox can be opened",
        "the application permission Calendars.ReadWrite or its consent is missing, or the scope "
        f"of RBAC for Applications holds none of these mailboxes; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    CHANGED_MEANWHILE = (
        "microsoft_changed_meanwhile", "the event was changed in the meantime", HANDLED,
        Whose.SERVICE,
    )  # fmt: skip
    CONFLICT = (
        "microsoft_conflict", "such an event already exists",
        "the next sync looks for it", Whose.SERVICE,
    )  # fmt: skip
    CONSENT_REQUIRED = (
        "microsoft_consent_required", "the app's permissions have no consent", _CONSENT,
        Whose.MICROSOFT,
    )  # fmt: skip
    CURSOR_EXPIRED = (
        "microsoft_cursor_expired", "the position in the list of changes has expired",
        READ_AGAIN, Whose.SERVICE,
    )  # fmt: skip
    CURSOR_REFUSED = (
        "microsoft_cursor_refused", "Exchange rejects the position in the list of changes",
        READ_AGAIN, Whose.SERVICE,
    )  # fmt: skip
    DELETED = ("microsoft_deleted", "the event was deleted", HANDLED, Whose.SERVICE)
    DIRECTORY_DENIED = (
        "microsoft_directory_denied", "the tenant's users cannot be read",
        "the application permission User.Read.All or its consent is missing; "
        "see docs/setup-microsoft.md, step 2", Whose.MICROSOFT,
    )  # fmt: skip
    ENDLESS_LIST = (
        "microsoft_endless_list", "a list of Microsoft's does not end", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    FOREIGN_AUTHORITY = (
        "microsoft_foreign_authority", "the authority is not one of Microsoft's", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    FOREIGN_LINK = (
        "microsoft_foreign_link", "the next part of a list is on another server",
        f"it is not opened, and {RETRIED}", Whose.SERVICE,
    )  # fmt: skip
    GROUPS_DENIED = (
        "microsoft_groups_denied", "groups of the tenant cannot be read",
        "the application permission GroupMember.Read.All or its consent is missing; "
        "see docs/setup-microsoft.md, step 2", Whose.MICROSOFT,
    )  # fmt: skip
    INTERACTION_REQUIRED = (
        "microsoft_interaction_required", "a policy of the tenant wants a person to sign in",
        f"exempt the app from it; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_CLIENT = (
        "microsoft_invalid_client", "client id, secret or certificate is wrong", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_GRANT = ("microsoft_invalid_grant", "consent is missing", _CONSENT, Whose.MICROSOFT)
    INVALID_INSTANCE = (
        "microsoft_invalid_instance", "the authority is not that of the tenant's cloud", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_REQUEST = (
        "microsoft_invalid_request", "tenant id or authority is wrong", _SEE, Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_RESOURCE = (
        "microsoft_invalid_resource", "the tenant does not know the host as a service",
        f"check the host of the connection; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_SCOPE = (
        "microsoft_invalid_scope", "the host is not Graph's, or consent is missing", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    INVALID_TENANT = (
        "microsoft_invalid_tenant", "the tenant does not exist",
        f"check the tenant id of the connection; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    LIST_REFUSED = (
        "microsoft_list_refused", "Exchange does not list this calendar",
        "open it in Outlook", Whose.MICROSOFT,
    )  # fmt: skip
    LIST_WITHOUT_CURSOR = (
        "microsoft_list_without_cursor",
        "Exchange's list ended without a position for the next one", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    NOT_FOUND = ("microsoft_not_found", "Exchange no longer has it", HANDLED, Whose.SERVICE)
    NO_CALENDAR = (
        "microsoft_no_calendar", "the mailbox has no calendar",
        "has its owner signed in before?", Whose.MICROSOFT,
    )  # fmt: skip
    NO_CONSENT = (
        "microsoft_no_consent", "the app has no permissions",
        "add Calendars.ReadWrite and User.Read.All (application permissions), and have an "
        f"administrator grant consent; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    NO_MAILBOX = (
        "microsoft_no_mailbox", "the user has no mailbox in Exchange Online",
        "assign a licence", Whose.MICROSOFT,
    )  # fmt: skip
    OUTSIDE_SCOPE = (
        "microsoft_outside_scope",
        "the mailbox is outside the scope of RBAC for Applications (or an access policy)",
        f"have it added; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    PUSH_ADDRESS_REFUSED = (
        "microsoft_push_address_refused",
        "the address of the receiver does not answer as Microsoft expects",
        "does the reverse proxy pass the path and its query on? See docs/operations.md", Whose.SYNC,
    )  # fmt: skip
    PUSH_ADDRESS_SILENT = (
        "microsoft_push_address_silent",
        "the address of the receiver does not answer Microsoft within 10 seconds",
        "is it reachable from the internet? See docs/operations.md", Whose.SYNC,
    )  # fmt: skip
    PUSH_LIFE_REFUSED = (
        "microsoft_push_life_refused", "Microsoft accepts no subscription of this length",
        "report it", Whose.SERVICE,
    )  # fmt: skip
    RATE_LIMITED = (
        "microsoft_rate_limited", "Microsoft asks for a pause", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    READ_ONLY = (
        "microsoft_read_only", "events can be read, but not written",
        f"Calendars.ReadWrite is missing; {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
    REFUSED = (
        "microsoft_refused", "Exchange rejects this event",
        "its own error code says why", Whose.MICROSOFT,
    )  # fmt: skip
    SERIES_UNREADABLE = (
        "microsoft_series_unreadable", "the dates of a series cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    TOKEN_LIMITED = (
        "microsoft_token_limited", "Microsoft's token endpoint asks for a pause",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    TOKEN_REFUSED = (
        "microsoft_token_refused", "Microsoft's token endpoint rejects the app", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    TOKEN_REJECTED = (
        "microsoft_token_rejected", "Microsoft Graph rejects the access token",
        "the sync gets a new one", Whose.SERVICE,
    )  # fmt: skip
    TOKEN_UNAVAILABLE = (
        "microsoft_token_unavailable", "Microsoft's token endpoint did not answer as expected",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    TOKEN_UNREADABLE = (
        "microsoft_token_unreadable", "the answer of Microsoft's token endpoint cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNAUTHORIZED = (
        "microsoft_unauthorized", "Microsoft Graph rejects the app's token", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    UNAUTHORIZED_CLIENT = (
        "microsoft_unauthorized_client", "the tenant does not know the client id", _SEE,
        Whose.MICROSOFT,
    )  # fmt: skip
    UNAVAILABLE = (
        "microsoft_unavailable", "Microsoft Graph did not answer as expected", RETRIED,
        Whose.SERVICE,
    )  # fmt: skip
    UNREADABLE_BATCH = (
        "microsoft_unreadable_batch", "the answer to several requests at once cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNREADABLE_EVENT = (
        "microsoft_unreadable_event", "the event's time cannot be read",
        "check it in the calendar", Whose.OWNER,
    )  # fmt: skip
    UNREADABLE_PAGE = (
        "microsoft_unreadable_page", "a list of Microsoft's cannot be read", RETRIED,
        Whose.SERVICE,
    )  # fmt: skip
    UNSUPPORTED_GRANT_TYPE = (
        "microsoft_unsupported_grant_type",
        "Microsoft's token endpoint does not know this kind of request",
        f"is the authority right? {_SEE}", Whose.MICROSOFT,
    )  # fmt: skip
