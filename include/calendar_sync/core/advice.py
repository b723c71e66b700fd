"""What to do about an error: a sentence for each code."""

from calendar_sync.core.errors import ConfigurationError, SyncError

_WAIT = "the other side does not answer as it should: the sync tries again by itself"
_WAIT_LIMIT = "the other side asks for a pause: the sync tries again by itself"
_NETWORK = (
    "the server cannot be reached: look at the network, a proxy or firewall, and the host of the "
    "connection; the sync tries again by itself"
)
_SLOW = (
    "the server or the network did not answer in time: the sync tries again by itself; if it goes "
    "on, look at the network and at the server's own status"
)
_BROKEN = (
    "the connection broke, or the answer was empty: the sync tries again by itself; if it goes on, "
    "look for a proxy or firewall in between"
)
_KEY = (
    "Google does not accept the service account's key: it was deleted or disabled, is another "
    "account's, or this machine's clock is wrong; see docs/setup-google.md"
)
_OUR_CODE = "this should not happen: keep the log and report it"
_GOOGLE = "see docs/setup-google.md"
_MICROSOFT = "see docs/setup-microsoft.md"
_WELKIN = "see docs/setup-welkin.md"

#: A connection was accepted, but nobody's calendar was opened over it.
NO_MAILBOX_TRIED = "no_mailbox_tried"
_ADVICE = {
    # --- Welkin -------------------------------------------------------------------------------
    "welkin_unauthorized": f"Welkin refuses the API client: check name and secret; {_WELKIN}",
    "welkin_client_unknown": f"Welkin does not know the API client of this tenant; {_WELKIN}",
    "welkin_access_restricted": "the API client may not see this user: widen its access in Welkin",
    "welkin_item_restricted": "the API client may not touch this event: widen its access in Welkin",
    "welkin_refused": "Welkin does not take this event: its own error code says why",
    "welkin_unreadable_event": "Welkin's event lacks times or id: look at it in Welkin",
    "welkin_not_found": "Welkin no longer has the event",
    "welkin_did_not_reschedule": "Welkin kept the appointment's time: the mirror is put back",
    "welkin_did_not_cancel": "Welkin kept the appointment: the mirror is put back",
    "welkin_denies_living_events": "Welkin denied events that it has: nothing was believed",
    "welkin_feed_does_not_advance": "Welkin's export repeats itself: report it to Welkin",
    "audit_unavailable": "the API client may not read the audit: deletions are found more slowly",
    "google_unreadable_event": "the event's time cannot be read: look at it in the calendar",
    "microsoft_unreadable_event": "the event's time cannot be read: look at it in the calendar",
    "still_there": "the server says that it is not found, and shows it all the same: it is tried "
    "again; delete it by hand if that lasts",
    "settings_refused": "this setting is not obeyed: correct it on the settings' page, or with "
    "calendar-sync config apply",
    "welkin_user_unknown": "Welkin has no user of this id: correct the mapping's row, or remove it",
    # --- Google -------------------------------------------------------------------------------
    "google_account_refused": "Google does not let us act for this mailbox: is the address right, "
    "is the user active and licensed?",
    "google_account_malformed": "the mapping's address is no e-mail address: correct it",
    "google_account_restricted": "the user's access is restricted in the Workspace: ask its admin",
    "google_not_acalendar_user": "Calendar is switched off for this user: ask the Workspace admin",
    "google_unauthorized": "Google takes no token for this mailbox: is the user suspended?",
    "google_unauthorized_client": f"the delegation lacks the client or its scope; {_GOOGLE}",
    "google_access_not_configured": f"the Calendar API is not enabled in the project; {_GOOGLE}",
    "google_service_disabled": f"the Calendar API is not enabled in the project; {_GOOGLE}",
    "google_insufficient_permissions": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_access_token_scope_insufficient": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_invalid_grant": _KEY,
    "google_invalid_client": _KEY,
    "google_invalid_request": f"Google's token endpoint takes no such request: is `token_uri` of "
    f"the key right? {_GOOGLE}",
    "google_deleted_client": _KEY,
    "google_disabled_client": _KEY,
    "google_invalid_scope": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_access_denied": f"the Workspace does not let the service account in; {_GOOGLE}",
    "google_admin_policy_enforced": "the Workspace's policy keeps the service account out: ask its "
    "administrator",
    "google_org_internal": f"the service account is not meant for this Workspace; {_GOOGLE}",
    "google_token_refused": f"Google's token endpoint refuses the service account; {_GOOGLE}",
    "google_directory_denied": "the directory may not be read as directory_admin: "
    "docs/setup-google.md, step 6",
    "google_no_calendar": "the account has no calendar: is Calendar switched on for its owner?",
    "google_forbidden": "Google forbids this for the mailbox; the log has its reason",
    "google_refused": "Google does not take this event: its own reason says why",
    "google_quota_exceeded": "Google's quota of this mailbox is used up: the sync waits",
    "google_daily_limit_exceeded": "the project's daily quota is used up: raise it, or poll less",
    "google_list_refused": "Google refuses to list this calendar: look at it in the browser",
    "series_incomplete": "the calendar shows too few instances of a series: its blocks stay, "
    "and it is read again",
    "calendar_not_found": "the calendar that mirrors go to is not there: see `calendars` in the "
    "settings",
    # --- Microsoft ----------------------------------------------------------------------------
    "microsoft_access_denied": "no access to this mailbox: `calendar-sync check --account MAILBOX` "
    "tells whether consent or scope is missing",
    "microsoft_account_unknown": "the tenant has no such user: correct the mapping",
    "microsoft_no_mailbox": "there is no mailbox in Exchange Online: a licence is missing",
    "microsoft_no_calendar": "the mailbox has no calendar: has its owner ever signed in?",
    "microsoft_directory_denied": f"the permission User.Read.All is missing; {_MICROSOFT}",
    "microsoft_no_consent": "the app has no permission at all: an administrator must grant "
    f"consent; {_MICROSOFT}",
    "microsoft_calendars_denied": "no mailbox can be opened: Calendars.ReadWrite, its consent, or "
    f"the scope of RBAC for Applications is missing; {_MICROSOFT}",
    "microsoft_outside_scope": "the mailbox is outside the scope of RBAC for Applications (or an "
    f"access policy): have it added; {_MICROSOFT}",
    "microsoft_read_only": f"events can be read, not written: Calendars.ReadWrite is missing; "
    f"{_MICROSOFT}",
    "microsoft_unauthorized_client": f"the tenant does not know the client id; {_MICROSOFT}",
    "microsoft_invalid_request": f"tenant id or authority is wrong; {_MICROSOFT}",
    "microsoft_invalid_tenant": f"there is no such tenant; {_MICROSOFT}",
    "microsoft_invalid_scope": f"the host is not Graph's, or consent is missing; {_MICROSOFT}",
    "microsoft_invalid_grant": f"consent is missing; {_MICROSOFT}",
    "microsoft_token_refused": f"Microsoft's token endpoint refuses the app; {_MICROSOFT}",
    "microsoft_unauthorized": f"Graph refuses the app's token; {_MICROSOFT}",
    "microsoft_invalid_client": f"client id, secret or certificate is wrong; {_MICROSOFT}",
    "microsoft_refused": "Exchange does not take this event: its own error code says why",
    "microsoft_list_refused": "Exchange refuses to list this calendar: look at it in Outlook",
    "microsoft_foreign_authority": f"the authority is not one of Microsoft's; {_MICROSOFT}",
    # --- the first set-up ---------------------------------------------------------------------
    "state_missing": "there is a signing key, but no state database. If CALENDAR_SYNC_DATABASE_URL "
    "names another place here than for scheduler and workers, correct it; if the database is lost, "
    "make a new one: what was synced is found again by its marks",
    "state_other_version": "the database belongs to another version of Calendar Sync: run "
    "`calendar-sync db upgrade`, then restart what runs older code",
    "state_unreachable": "the state database does not answer: is its server up, and is "
    "CALENDAR_SYNC_DATABASE_URL right?",
    "state_refused": "the database does not let the API server make tables: whoever runs Airflow "
    "runs `calendar-sync init` as the database's owner",
    "key_lost": "events that were made with the signing key still stand, so no new one is made: "
    "restore the connection `calendar_sync_hmac_key` from a backup of Airflow's database",
    "dag_unknown": "is our `dags` folder where Airflow's is, and does its DAG processor run?",
    "hidden_connection": "Airflow reads another connection than the one just stored: an "
    "environment variable or a secrets backend of that name goes first. Remove it there, or "
    "change it there",
    # --- Airflow's API ------------------------------------------------------------------------
    "airflow_unavailable": "Airflow's API server does not answer: is it up, and is the host of the "
    "connection `calendar_sync_airflow` right?",
    "airflow_not_found": "Airflow's API knows no such path: is the host of the connection "
    "`calendar_sync_airflow` the base URL of its API server?",
    "not_working": "see what it says of the server, and the fields of the connection",
    # --- the sync's own words -----------------------------------------------------------------
    "conflict_closed": "somebody else has decided it meanwhile: load the page again",
    "not_mapped": "nobody of this name is mapped on this platform: correct the name in the run's "
    "params, or the mapping",
    "not_parked": "it is tried again already: load the page again",
    "not_possible": "this choice is not possible any more: load the page again",
    "tenant_misconfigured": "credentials or rights are wrong for everybody: `calendar-sync check`",
    "user_unavailable": "this mailbox cannot be used: `calendar-sync check --account MAILBOX`",
    "no_free_generation": "this item was made and deleted too often: change it in Welkin",
    "left_in_account": "a former account cannot be reached: give access once more, or remove what "
    "is left there by hand",
    "outcome_unknown": "the answer to a write was lost: the sync looks before it writes again",
    "not_shown_yet": "our own write of just now does not show yet: it is looked at again",
    "platform_stopped": "the platform is stopped by a fault of many accounts: see `calendar-sync "
    "status`",
    "many_accounts_failing": "many accounts began to fail at once: look at the platform itself; "
    "the sync goes on when they answer",
    "lease_held": "another process works on this user: try again in a minute",
    "lease_lost": "another process took over: nothing is lost",
    "no_connection": _NETWORK,
    "timeout": _SLOW,
    "connection_lost": _BROKEN,
    "empty_answer": _BROKEN,
    NO_MAILBOX_TRIED: "no mailbox was tried, so access to calendars is not shown: map somebody, "
    "or name a mailbox: `calendar-sync check --account MAILBOX`",
    "no_connection_configured": "make the connection in Airflow that this platform needs",
    "seal_refused": "the place that keeps seals does not take one: look at the server that "
    "`CALENDAR_SYNC_SEAL_SINKS` names",
    "probe_not_undone": "the probe could not move the encounter back: do it in Welkin",
    "untrusted_certificate": "the server's certificate is not trusted: set `verify` of the "
    "connection to the CA bundle",
    "redirected": "the address of the connection leads elsewhere: correct its host",
    "token_refresh_stuck": "another process has been fetching the token for long: try again",
    "calendar_denies_living_events": "the calendar denied events that it has: none was believed, "
    "the sync tries again by itself",
    "bad_item": "the other side does not take this item: change it there, or see its code",
    "sync_error": "see its detail: it says what is wrong",
    "users_failed": "see which users, and the code of each",
    "configuration": "see its detail: it says what to correct",
    "unexpected": _OUR_CODE,
    "too_many_questions": _OUR_CODE,
}
_ENDS = {
    "unavailable": _WAIT,
    "unreadable": _WAIT,
    "unreadable_page": _WAIT,
    "unreadable_answer": _WAIT,
    "answer_too_large": "the other side sends more than any calendar holds: look there what it is",
    "unreadable_batch": _WAIT,
    "unreadable_event": _WAIT,
    "unstable_pages": _WAIT,
    "without_cursor": _WAIT,
    "endless_list": _WAIT,
    "living_events": _WAIT,
    "foreign_link": _WAIT,
    "limited": _WAIT_LIMIT,
    "busy": _WAIT_LIMIT,
    "cursor_expired": "the list of changes is read anew",
    "cursor_refused": "the list of changes is read anew",
    "calendar_gone": "the list of changes is read anew",
    "deleted": "it is gone: the next cycle decides",
    "gone": "it is gone: the next cycle decides",
    "not_found": "it is gone: the next cycle decides",
    "changed_meanwhile": "it changed meanwhile: the next cycle decides",
    "failed": "it changed meanwhile: the next cycle decides",
    "duplicate": "it is there already: the next cycle looks for it",
    "conflict": "it is there already: the next cycle looks for it",
    "rejected": "the token is replaced",
}
_SYSTEMS = {
    "google": f"{_GOOGLE}; `calendar-sync check` tries the connection",
    "microsoft": f"{_MICROSOFT}; `calendar-sync check` tries the connection",
    "welkin": f"{_WELKIN}; `calendar-sync check` tries the connection",
}


_ADMINISTRATORS = {
    "google": "the Google Workspace administrator",
    "microsoft": "the Microsoft 365 administrator",
    "welkin": "the Welkin administrator",
    "calendar": "the mailbox's owner, or the settings",
}
_NETWORKS = frozenset(
    {"no_connection", "timeout", "connection_lost", "empty_answer", "unreadable_answer"}
)
# They begin like a system's, and are about what the organisation has told us.
_OWN = frozenset(
    {
        "google_account_malformed", "microsoft_account_unknown", "welkin_client_unknown",
        "welkin_unauthorized", "welkin_user_unknown",
    }
)  # fmt: skip
#: What a code means where a connection is tried: nobody's item, everybody's access.
_OF_CONNECTION = {
    "no_connection": "the server cannot be reached: check the base URL (host) of the connection, "
    "and the network",
    "untrusted_certificate": "the server's certificate is of no authority in the CA bundle (nor "
    "the system's): set `verify` in the extra of the connection",
    # Welkin's answer to a wrong name is the one to a wrong secret.
    "welkin_unauthorized": "the organization, the API client's name or its secret is wrong; "
    f"{_WELKIN}",
    "welkin_client_unknown": "the server knows no such API client: check base URL, organization "
    f"and token path; {_WELKIN}",
    "welkin_not_found": f"the organization has no such environment: check `instance`; {_WELKIN}",
    "welkin_access_restricted": "the API client may not read calendar events in this environment; "
    f"{_WELKIN}",
}


def advice(code: str) -> str:
    """What to do about this code; empty where its detail says so already."""
    if code in _ADVICE:
        return _ADVICE[code]
    for end, said in _ENDS.items():
        if code == end or code.endswith(f"_{end}"):
            return said
    return _SYSTEMS.get(code.partition("_")[0], _OUR_CODE)


def whose(code: str) -> str:
    """Whose it is to mend, in a few words."""
    if code in _NETWORKS:
        return "whoever runs the network or the server"
    if code in _OWN:
        return "whoever runs the sync"
    if advice(code) in {_WAIT, _WAIT_LIMIT}:
        return "the service itself"
    system = code.partition("_")[0]
    return _ADMINISTRATORS.get(system, "whoever runs the sync")


def remedy(error: SyncError) -> str:
    """What to do about a connection that ended in this error, in words.

    A detail that is a word of a server, the kind of a request or a number says nothing to people.
    """
    if isinstance(error, ConfigurationError) and error.detail:
        return error.detail
    said = _OF_CONNECTION.get(error.code) or advice(error.code)
    return f"{error.detail}; {said}" if " " in error.detail else said
