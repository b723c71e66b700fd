"""What goes wrong with Google."""

from calendar_sync.core.codes.base import HANDLED, READ_AGAIN, RETRIED, Code, Whose

_SEE = "see docs/setup-google.md"
_KEY = "Google rejects the service account's key"
_KEY_ADVICE = (
    "it was deleted or disabled, belongs to another account, or the clock of this machine is "
    f"wrong; {_SEE}"
)
_SCOPE = "the domain-wide delegation lacks the calendar scope"
_API = "the Calendar API is not enabled in the Google Cloud project"


class GoogleCode(Code):
    """What Google answers, or how its answer is wrong."""

    ACCESS_DENIED = (
        "google_access_denied", "the Google Workspace denies access to the service account",
        _SEE, Whose.GOOGLE,
    )  # fmt: skip
    ACCESS_NOT_CONFIGURED = ("google_access_not_configured", _API, _SEE, Whose.GOOGLE)
    ACCESS_TOKEN_SCOPE_INSUFFICIENT = (
        "google_access_token_scope_insufficient", _SCOPE, _SEE, Whose.GOOGLE,
    )  # fmt: skip
    ACCOUNT_MALFORMED = (
        "google_account_malformed", "the address in the mapping is not an e-mail address",
        "correct it", Whose.SYNC,
    )  # fmt: skip
    ACCOUNT_REFUSED = (
        "google_account_refused", "Google denies access to this mailbox",
        "is the address right, and is the user active and licensed?", Whose.GOOGLE,
    )  # fmt: skip
    ACCOUNT_RESTRICTED = (
        "google_account_restricted", "the user's access is restricted",
        "ask the Google Workspace administrator", Whose.GOOGLE,
    )  # fmt: skip
    ADMIN_POLICY_ENFORCED = (
        "google_admin_policy_enforced",
        "a policy of the Google Workspace blocks the service account",
        "ask its administrator", Whose.GOOGLE,
    )  # fmt: skip
    CALENDAR_GONE = (
        "google_calendar_gone", "the calendar of this list of changes is gone",
        READ_AGAIN, Whose.SERVICE,
    )  # fmt: skip
    CALENDAR_LIST_DENIED = (
        "google_calendar_list_denied",
        "the domain-wide delegation lacks the scope calendar.calendarlist.readonly",
        "it is needed for `calendars.google.mirrors: own`; see docs/setup-google.md, step 8",
        Whose.GOOGLE,
    )  # fmt: skip
    CALENDAR_MAKING_DENIED = (
        "google_calendar_making_denied",
        "the domain-wide delegation lacks the scope calendar.app.created",
        "it is needed for `calendars.google.mirrors: own`; see docs/setup-google.md, step 8",
        Whose.GOOGLE,
    )  # fmt: skip
    CHANGED_MEANWHILE = (
        "google_changed_meanwhile", "the event was changed in the meantime", HANDLED,
        Whose.SERVICE,
    )  # fmt: skip
    CURSOR_EXPIRED = (
        "google_cursor_expired", "the position in the list of changes has expired",
        READ_AGAIN, Whose.SERVICE,
    )  # fmt: skip
    CURSOR_REFUSED = (
        "google_cursor_refused", "Google rejects the position in the list of changes",
        READ_AGAIN, Whose.SERVICE,
    )  # fmt: skip
    DAILY_LIMIT_EXCEEDED = (
        "google_daily_limit_exceeded", "the daily quota of the Google project is used up",
        "raise it, or increase `polling.interval_seconds`", Whose.GOOGLE,
    )  # fmt: skip
    DELETED = ("google_deleted", "the event was deleted", HANDLED, Whose.SERVICE)
    DELETED_CLIENT = ("google_deleted_client", _KEY, _KEY_ADVICE, Whose.GOOGLE)
    DIRECTORY_DENIED = (
        "google_directory_denied", "the directory cannot be read as directory_admin",
        "see docs/setup-google.md, step 6", Whose.GOOGLE,
    )  # fmt: skip
    DISABLED_CLIENT = ("google_disabled_client", _KEY, _KEY_ADVICE, Whose.GOOGLE)
    DOMAIN_POLICY = (
        "google_domain_policy", "a policy of the Google Workspace forbids this for the mailbox",
        "ask its administrator", Whose.GOOGLE,
    )  # fmt: skip
    DUPLICATE = (
        "google_duplicate", "an event with this id already exists",
        "the next sync looks for it", Whose.SERVICE,
    )  # fmt: skip
    ENDLESS_LIST = (
        "google_endless_list", "a list of Google's does not end", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    FORBIDDEN = (
        "google_forbidden", "Google forbids this for the mailbox",
        f"is it shared with, or delegated to, the service account? {_SEE}", Whose.GOOGLE,
    )  # fmt: skip
    FORBIDDEN_FOR_SERVICE_ACCOUNTS = (
        "google_forbidden_for_service_accounts", "Google forbids this for service accounts",
        f"the domain-wide delegation is missing; {_SEE}", Whose.GOOGLE,
    )  # fmt: skip
    GROUPS_DENIED = (
        "google_groups_denied", "groups cannot be read as directory_admin",
        "see docs/setup-google.md, step 6", Whose.GOOGLE,
    )  # fmt: skip
    INSUFFICIENT_PERMISSIONS = (
        "google_insufficient_permissions", _SCOPE, _SEE, Whose.GOOGLE,
    )  # fmt: skip
    INVALID_CLIENT = ("google_invalid_client", _KEY, _KEY_ADVICE, Whose.GOOGLE)
    INVALID_GRANT = ("google_invalid_grant", _KEY, _KEY_ADVICE, Whose.GOOGLE)
    INVALID_REQUEST = (
        "google_invalid_request", "Google's token endpoint rejects the request",
        f"is `token_uri` in the key right? {_SEE}", Whose.GOOGLE,
    )  # fmt: skip
    INVALID_SCOPE = ("google_invalid_scope", _SCOPE, _SEE, Whose.GOOGLE)
    LIST_REFUSED = (
        "google_list_refused", "Google does not list this calendar",
        "open it in the browser", Whose.GOOGLE,
    )  # fmt: skip
    LIST_WITHOUT_CURSOR = (
        "google_list_without_cursor", "Google's list ended without a position for the next one",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    NOT_A_CALENDAR_USER = (
        "google_not_acalendar_user", "Calendar is turned off for this user",
        "ask the Google Workspace administrator to turn it on, or to assign a licence",
        Whose.GOOGLE,
    )  # fmt: skip
    NOT_FOUND = ("google_not_found", "Google no longer has it", HANDLED, Whose.SERVICE)
    NO_CALENDAR = (
        "google_no_calendar", "the account has no calendar",
        "is Calendar turned on for this user?", Whose.GOOGLE,
    )  # fmt: skip
    ORG_INTERNAL = (
        "google_org_internal", "the service account belongs to another Google Workspace",
        _SEE, Whose.GOOGLE,
    )  # fmt: skip
    PUSH_ADDRESS_REFUSED = (
        "google_push_address_refused", "Google does not accept the address of the receiver",
        "it must be https with a publicly trusted certificate and must not redirect; Google may "
        "ask for its domain to be verified in the project; see docs/operations.md", Whose.SYNC,
    )  # fmt: skip
    PUSH_NOT_SUPPORTED = (
        "google_push_not_supported", "this calendar cannot be watched (holidays, imported ones)",
        "it is polled instead", Whose.SERVICE,
    )  # fmt: skip
    QUOTA_EXCEEDED = (
        "google_quota_exceeded", "Google's quota for this mailbox is used up",
        "the sync waits", Whose.GOOGLE,
    )  # fmt: skip
    RATE_LIMITED = ("google_rate_limited", "Google asks for a pause", RETRIED, Whose.SERVICE)
    REFUSED = (
        "google_refused", "Google rejects this event", "its own reason says why", Whose.GOOGLE,
    )  # fmt: skip
    REQUIRED_ACCESS_LEVEL = (
        "google_required_access_level", "the user's right to this calendar is too small",
        "share the calendar with the right to change events", Whose.OWNER,
    )  # fmt: skip
    SERIES_UNREADABLE = (
        "google_series_unreadable", "the dates of a series cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    SERVICE_DISABLED = ("google_service_disabled", _API, _SEE, Whose.GOOGLE)
    TOKEN_LIMITED = (
        "google_token_limited", "Google's token endpoint asks for a pause",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    TOKEN_REFUSED = (
        "google_token_refused", "Google's token endpoint rejects the service account",
        _SEE, Whose.GOOGLE,
    )  # fmt: skip
    TOKEN_REJECTED = (
        "google_token_rejected", "Google rejects the access token",
        "the sync gets a new one", Whose.SERVICE,
    )  # fmt: skip
    TOKEN_UNAVAILABLE = (
        "google_token_unavailable", "Google's token endpoint did not answer as expected",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    TOKEN_UNREADABLE = (
        "google_token_unreadable", "the answer of Google's token endpoint cannot be read",
        RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNAUTHORIZED = (
        "google_unauthorized", "Google rejects the token for this mailbox",
        "is the user suspended?", Whose.GOOGLE,
    )  # fmt: skip
    UNAUTHORIZED_CLIENT = (
        "google_unauthorized_client",
        "the domain-wide delegation lacks the client or its scope", _SEE, Whose.GOOGLE,
    )  # fmt: skip
    UNAVAILABLE = (
        "google_unavailable", "Google did not answer as expected", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNREADABLE_EVENT = (
        "google_unreadable_event", "the event's time cannot be read",
        "check it in the calendar", Whose.OWNER,
    )  # fmt: skip
    UNREADABLE_PAGE = (
        "google_unreadable_page", "a list of Google's cannot be read", RETRIED, Whose.SERVICE,
    )  # fmt: skip
    UNSUPPORTED_GRANT_TYPE = (
        "google_unsupported_grant_type",
        "Google's token endpoint does not know this kind of request",
        f"is `token_uri` in the key right? {_SEE}", Whose.GOOGLE,
    )  # fmt: skip
    USER_ACCESS_DENIED = (
        "google_user_access_denied", "Google denies the user access to this calendar",
        "is it still shared with the user?", Whose.OWNER,
    )  # fmt: skip
