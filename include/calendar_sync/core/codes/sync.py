"""What goes wrong in the sync itself."""

from calendar_sync.core.codes.base import HANDLED, RETRIED, Code, Whose

_BUG = "this is a bug: keep the log and report it"


class SyncCode(Code):
    """What the sync found wrong, beyond a single answer of a server."""

    BAD_ITEM = (
        "bad_item", "the service rejects this item", "change it there, or see its code",
        Whose.SERVICE,
    )  # fmt: skip
    CALENDAR_DENIES_LIVING_EVENTS = (
        "calendar_denies_living_events", "the calendar said that existing events were not found",
        f"its answers were not used, and {RETRIED}", Whose.SERVICE,
    )  # fmt: skip
    CONFIGURATION = (
        "configuration", "settings, mapping or a connection are missing or wrong",
        "see its detail", Whose.SYNC,
    )  # fmt: skip
    LEASE_HELD = (
        "lease_held", "another process works on this user", "try again in a minute", Whose.SYNC,
    )  # fmt: skip
    LEASE_LOST = ("lease_lost", "another process took over", "nothing is lost", Whose.SYNC)
    LEFT_IN_ACCOUNT = (
        "left_in_account", "the previous mailbox cannot be reached",
        "grant access to it again, or delete the synced events there by hand", Whose.SYNC,
    )  # fmt: skip
    MANY_ACCOUNTS_FAILING = (
        "many_accounts_failing", "many accounts began to fail at the same time",
        "check the platform; the sync resumes when they answer", Whose.SYNC,
    )  # fmt: skip
    MIRROR_GONE = ("mirror_gone", "the synced event was deleted", HANDLED, Whose.SERVICE)
    NOT_LOOKED_AT = (
        "not_looked_at", "the sync is not running, or no calendar answers",
        "check that the DAG is switched on and the scheduler runs; then see the label of the last "
        "`find_changed_users` task", Whose.SYNC,
    )  # fmt: skip
    NOT_SEEN = (
        "not_seen", "the calendar does not answer, so changes there are not noticed",
        "see `calendar-sync explain`", Whose.SYNC,
    )  # fmt: skip
    NOT_SHOWN_YET = (
        "not_shown_yet", "a recent write does not show yet", "the sync checks again",
        Whose.SERVICE,
    )  # fmt: skip
    NO_FREE_GENERATION = (
        "no_free_generation", "this event was created and deleted too often",
        "change the appointment in Welkin", Whose.WELKIN,
    )  # fmt: skip
    OUTCOME_UNKNOWN = (
        "outcome_unknown", "the answer to a write was lost",
        "the sync checks before it writes again", Whose.SERVICE,
    )  # fmt: skip
    OWN_CALENDAR_DELETED = (
        "own_calendar_deleted", "the calendar `Welkin` that the sync made was deleted",
        "the sync makes it again, with its synced events, an hour after it was made", Whose.OWNER,
    )  # fmt: skip
    OVER_TARGET = (
        "over_target", "changes of this user are late",
        "see the label of the user's last `sync_user` task", Whose.SYNC,
    )  # fmt: skip
    PLATFORM_STOPPED = (
        "platform_stopped", "the sync of this platform is paused because of a fault",
        "see `calendar-sync status`", Whose.SYNC,
    )  # fmt: skip
    SEAL_REFUSED = (
        "seal_refused", "a place for seals of the audit log rejects them",
        "check CALENDAR_SYNC_SEAL_SINKS", Whose.SYNC,
    )  # fmt: skip
    SERIES_INCOMPLETE = (
        "series_incomplete", "the calendar returned too few events of a series",
        "its busy blocks stay, and it is read again", Whose.SERVICE,
    )  # fmt: skip
    STILL_THERE = (
        "still_there", "the event could not be deleted",
        "the server says that it does not exist, but still shows it. The sync retries; delete it "
        "by hand if this continues", Whose.SERVICE,
    )  # fmt: skip
    SYNC_ERROR = ("sync_error", "the sync failed", "see its detail", Whose.SYNC)
    TENANT_MISCONFIGURED = (
        "tenant_misconfigured", "credentials or rights are wrong", "run `calendar-sync check`",
        Whose.SYNC,
    )  # fmt: skip
    TOKEN_REFRESH_STUCK = (
        "token_refresh_stuck", "another process takes too long to get a token", RETRIED,
        Whose.SYNC,
    )  # fmt: skip
    TOO_MANY_QUESTIONS = (
        "too_many_questions", "the sync asks for the same items again and again", _BUG,
        Whose.SYNC,
    )  # fmt: skip
    UNEXPECTED = ("unexpected", "the program failed", _BUG, Whose.SYNC)
    USERS_FAILED = (
        "users_failed", "some users failed", "see the users and their codes", Whose.SYNC,
    )  # fmt: skip
    USER_UNAVAILABLE = (
        "user_unavailable", "this mailbox cannot be used",
        "run `calendar-sync check --account MAILBOX`", Whose.SYNC,
    )  # fmt: skip


class AccountVerdict(Code):
    """The result of the check of one mapped user: the first that applies."""

    OK = ("ok", "works", "", Whose.SYNC)
    WELKIN_USER_UNKNOWN = (
        "welkin_user_unknown", "Welkin has no user with this id",
        "correct the row of the mapping, or remove it", Whose.SYNC,
    )  # fmt: skip
    WELKIN_USER_INACTIVE = (
        "welkin_user_inactive", "the user is inactive in Welkin",
        "activate the user there, or remove the row of the mapping", Whose.WELKIN,
    )  # fmt: skip
    NO_INSTANCE_ACCESS = (
        "no_instance_access", "the user has no access to this Welkin environment",
        "grant it there, or remove the row of the mapping", Whose.WELKIN,
    )  # fmt: skip
    MAPPED_TWICE = (
        "mapped_twice", "two Welkin users are mapped to this mailbox",
        "correct one of the rows", Whose.SYNC,
    )  # fmt: skip
    ACCOUNT_UNKNOWN = (
        "account_unknown",
        "the account does not exist in the organisation's directory, or is suspended",
        "correct the address, or have the account restored", Whose.SYNC,
    )  # fmt: skip
    ACCOUNT_SUSPENDED = (
        "account_suspended", "the account is suspended or disabled",
        "have it enabled, or disable the row of the mapping", Whose.SYNC,
    )  # fmt: skip
    NO_CALENDAR_LICENCE = (
        "no_calendar_licence", "the account has no mailbox or calendar",
        "assign a licence, or turn the service on", Whose.SYNC,
    )  # fmt: skip
    CALENDAR_NOT_FOUND = (
        "calendar_not_found", "a calendar in the settings was not found",
        "correct `calendars`, or share the calendar", Whose.OWNER,
    )  # fmt: skip
    OUTSIDE_SCOPE = (
        "outside_scope",
        "the mailbox is outside the scope that the app may reach (RBAC for Applications or an "
        "access policy)", "have it added", Whose.MICROSOFT,
    )  # fmt: skip
    ACCESS_DENIED = (
        "access_denied", "the app has no access to this calendar",
        "check the delegation or the consent, see the set-up instructions of the platform",
        Whose.SYNC,
    )  # fmt: skip
    READ_ONLY = (
        "read_only", "the calendar can be read but not written",
        "grant the permission to write events", Whose.SYNC,
    )  # fmt: skip
    CONNECTION_FAULTY = (
        "connection_faulty", "the connection does not work for any user",
        "run `calendar-sync check`", Whose.SYNC,
    )  # fmt: skip
    NOT_ANSWERING = (
        "not_answering", "the service did not answer",
        "the account is checked again next time", Whose.SERVICE,
    )  # fmt: skip
