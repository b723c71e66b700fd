"""What to do about an error: a sentence for each code."""

from calendar_sync.core.errors import ConfigurationError, SyncError

_WAIT = "the service did not answer as expected; the sync retries automatically"
_WAIT_LIMIT = "the service asks for a pause; the sync retries automatically"
_NETWORK = (
    "the server cannot be reached: check the network, proxy or firewall, and the host of the "
    "connection; the sync retries automatically"
)
_SLOW = (
    "the server did not answer in time; the sync retries automatically. If this continues, check "
    "the network and the status page of the service"
)
_BROKEN = (
    "the connection was lost, or the answer was empty; the sync retries automatically. If this "
    "continues, check for a proxy or firewall in between"
)
_KEY = (
    "Google rejects the service account's key: it was deleted or disabled, belongs to another "
    "account, or the clock of this machine is wrong; see docs/setup-google.md"
)
_OUR_CODE = "this is a bug: keep the log and report it"
_GOOGLE = "see docs/setup-google.md"
_MICROSOFT = "see docs/setup-microsoft.md"
_WELKIN = "see docs/setup-welkin.md"

#: A connection was accepted, but no calendar was opened with it.
NO_MAILBOX_TRIED = "no_mailbox_tried"
_ADVICE = {
    # --- Welkin -------------------------------------------------------------------------------
    "welkin_unauthorized": f"Welkin rejects the API client: check its name and secret; {_WELKIN}",
    "welkin_client_unknown": f"Welkin does not know the API client of this tenant; {_WELKIN}",
    "welkin_access_restricted": "the API client has no access to this user: grant it in Welkin",
    "welkin_item_restricted": "the API client has no access to this event: grant it in Welkin",
    "welkin_refused": "Welkin rejects this event; its own error code says why",
    "welkin_unreadable_event": "the event in Welkin has no time or no id: check it in Welkin",
    "welkin_not_found": "Welkin no longer has the event",
    "welkin_did_not_reschedule": "Welkin did not move the appointment; the synced event is put "
    "back",
    "welkin_did_not_cancel": "Welkin did not cancel the appointment; the synced event is put back",
    "welkin_denies_living_events": "Welkin said that existing events were not found; its "
    "answers were not used",
    "welkin_feed_does_not_advance": "Welkin's export repeats the same rows: report it to Welkin",
    "audit_unavailable": "the API client cannot read Welkin's audit log; deletions are found "
    "more slowly",
    "google_unreadable_event": "the event's time cannot be read: check it in the calendar",
    "microsoft_unreadable_event": "the event's time cannot be read: check it in the calendar",
    "still_there": "the event could not be deleted: the server says that it does not exist, but "
    "still shows it. The sync retries; delete it by hand if this continues",
    "settings_refused": "this setting is ignored: correct it on the page Settings, or with "
    "`calendar-sync config apply`",
    "welkin_user_unknown": "Welkin has no user with this id: correct the row of the mapping, or "
    "remove it",
    # --- Google -------------------------------------------------------------------------------
    "google_account_refused": "Google denies access to this mailbox: is the address right, and is "
    "the user active and licensed?",
    "google_account_malformed": "the address in the mapping is not an e-mail address: correct it",
    "google_account_restricted": "the user's access is restricted: ask the Google Workspace "
    "administrator",
    "google_not_acalendar_user": "Calendar is turned off for this user: ask the Google "
    "Workspace administrator",
    "google_unauthorized": "Google rejects the token for this mailbox: is the user suspended?",
    "google_unauthorized_client": "the domain-wide delegation lacks the client or its scope; "
    f"{_GOOGLE}",
    "google_access_not_configured": f"the Calendar API is not enabled in the project; {_GOOGLE}",
    "google_service_disabled": f"the Calendar API is not enabled in the project; {_GOOGLE}",
    "google_insufficient_permissions": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_access_token_scope_insufficient": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_invalid_grant": _KEY,
    "google_invalid_client": _KEY,
    "google_invalid_request": f"Google's token endpoint rejects the request: is `token_uri` in "
    f"the key right? {_GOOGLE}",
    "google_deleted_client": _KEY,
    "google_disabled_client": _KEY,
    "google_invalid_scope": f"the delegation lacks the calendar scope; {_GOOGLE}",
    "google_access_denied": f"the Google Workspace denies access to the service account; {_GOOGLE}",
    "google_admin_policy_enforced": "a policy of the Google Workspace blocks the service "
    "account: ask its administrator",
    "google_org_internal": f"the service account belongs to another Google Workspace; {_GOOGLE}",
    "google_token_refused": f"Google's token endpoint rejects the service account; {_GOOGLE}",
    "google_directory_denied": "the directory cannot be read as directory_admin: see "
    "docs/setup-google.md, step 6",
    "google_no_calendar": "the account has no calendar: is Calendar turned on for this user?",
    "google_forbidden": "Google forbids this for the mailbox; the log has its reason",
    "google_refused": "Google rejects this event; its own reason says why",
    "google_quota_exceeded": "Google's quota for this mailbox is used up; the sync waits",
    "google_daily_limit_exceeded": "the daily quota of the Google project is used up: raise it, "
    "or increase `polling.interval_seconds`",
    "google_list_refused": "Google does not list this calendar: open it in the browser",
    "series_incomplete": "the calendar returned too few events of a series; its busy blocks stay, "
    "and it is read again",
    "calendar_not_found": "the calendar for synced events was not found: check `calendars` in the "
    "settings",
    # --- Microsoft ----------------------------------------------------------------------------
    "microsoft_access_denied": "no access to this mailbox: `calendar-sync check --account MAILBOX` "
    "says if consent or scope is missing",
    "microsoft_account_unknown": "the tenant has no such user: correct the mapping",
    "microsoft_no_mailbox": "the user has no mailbox in Exchange Online: assign a licence",
    "microsoft_no_calendar": "the mailbox has no calendar: has its owner signed in before?",
    "microsoft_directory_denied": f"the permission User.Read.All is missing; {_MICROSOFT}",
    "microsoft_no_consent": "the app has no permissions: an administrator must grant "
    f"consent; {_MICROSOFT}",
    "microsoft_calendars_denied": "no mailbox can be opened: Calendars.ReadWrite, its consent, or "
    f"the scope of RBAC for Applications is missing; {_MICROSOFT}",
    "microsoft_outside_scope": "the mailbox is outside the scope of RBAC for Applications (or an "
    f"access policy): have it added; {_MICROSOFT}",
    "microsoft_read_only": f"events can be read, but not written: Calendars.ReadWrite is missing; "
    f"{_MICROSOFT}",
    "microsoft_unauthorized_client": f"the tenant does not know the client id; {_MICROSOFT}",
    "microsoft_invalid_request": f"tenant id or authority is wrong; {_MICROSOFT}",
    "microsoft_invalid_tenant": f"check the tenant id of the connection; {_MICROSOFT}",
    "microsoft_invalid_scope": f"the host is not Graph's, or consent is missing; {_MICROSOFT}",
    "microsoft_invalid_grant": f"consent is missing; {_MICROSOFT}",
    "microsoft_token_refused": f"Microsoft's token endpoint rejects the app; {_MICROSOFT}",
    "microsoft_unauthorized": f"Microsoft Graph rejects the app's token; {_MICROSOFT}",
    "microsoft_invalid_client": f"client id, secret or certificate is wrong; {_MICROSOFT}",
    "microsoft_refused": "Exchange rejects this event; its own error code says why",
    "microsoft_list_refused": "Exchange does not list this calendar: open it in Outlook",
    "microsoft_foreign_authority": f"the authority is not one of Microsoft's; {_MICROSOFT}",
    # --- push ---------------------------------------------------------------------------------
    "google_push_address_refused": "Google does not accept the address of the receiver: it must "
    "be https with a publicly trusted certificate, must not redirect, and Google may ask for its "
    "domain to be verified in the project; see docs/operations.md",
    "google_push_not_supported": "this calendar cannot be watched (holidays, imported calendars): "
    "it is polled instead",
    "microsoft_push_address_refused": "the address of the receiver does not answer as expected: "
    "does the reverse proxy pass the path and its query on? See docs/operations.md",
    "microsoft_push_address_silent": "the address of the receiver does not answer Microsoft "
    "within 10 seconds: is it reachable from the internet? See docs/operations.md",
    "microsoft_push_life_refused": "Microsoft accepts no subscription of this length: report it",
    "push_address_unreachable": "the address of the receiver cannot be reached from here: is "
    "`calendar-sync receive` running, and does the reverse proxy pass requests on? Once a "
    "notice has arrived, this is no longer tested",
    "push_address_other": "something else than the receiver answers at its address: check the "
    "path in `push.address` and in the reverse proxy",
    "push_unverified": "channels are open, and no notice has arrived: is the address reachable "
    "from the internet?",
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
    "airflow_unavailable": "Airflow's API server does not answer: is it running, and is the "
    "host of the connection `calendar_sync_airflow` right?",
    "airflow_not_found": "Airflow's API does not have this path: is the host of the connection "
    "`calendar_sync_airflow` the base URL of the API server?",
    "not_working": "check the fields of the connection",
    # --- the sync itself ----------------------------------------------------------------------
    "conflict_closed": "it was decided in the meantime: reload the page",
    "not_mapped": "this user is not mapped on this platform: correct the name in the params of the "
    "run, or the mapping",
    "not_parked": "it was retried in the meantime: reload the page",
    "not_possible": "this is no longer possible: reload the page",
    "seal_refused": "a place for seals of the audit log rejects them: check "
    "CALENDAR_SYNC_SEAL_SINKS",
    "tenant_misconfigured": "credentials or rights are wrong: run `calendar-sync check`",
    "user_unavailable": "this mailbox cannot be used: run `calendar-sync check --account MAILBOX`",
    "no_free_generation": "this event was created and deleted too often: change the appointment "
    "in Welkin",
    "left_in_account": "the previous mailbox cannot be reached: grant access to it again, or "
    "delete the synced events there by hand",
    "outcome_unknown": "the answer to a write was lost; the sync checks before it writes again",
    "not_shown_yet": "a recent write does not show yet; the sync checks again",
    "platform_stopped": "the sync of this platform is paused because of a fault: see "
    "`calendar-sync status`",
    "many_accounts_failing": "many accounts began to fail at the same time: check the platform; "
    "the sync resumes when they answer",
    "lease_held": "another process works on this user: try again in a minute",
    "lease_lost": "another process took over: nothing is lost",
    "no_connection": _NETWORK,
    "timeout": _SLOW,
    "connection_lost": _BROKEN,
    "empty_answer": _BROKEN,
    NO_MAILBOX_TRIED: "access to calendars was not tested, since no users are mapped: map a user, "
    "or name a mailbox: `calendar-sync check --account MAILBOX`",
    "no_connection_configured": "create the connection for this platform in Airflow",
    "probe_not_undone": "the encounter could not be moved back: move it back in Welkin",
    "untrusted_certificate": "the server's certificate is not trusted: set `verify` of the "
    "connection to the CA bundle",
    "redirected": "the host of the connection redirects to another address: correct it",
    "token_refresh_stuck": "another process takes too long to get a token: try again",
    "calendar_denies_living_events": "the calendar said that existing events were not found; its "
    "answers were not used, and the sync retries automatically",
    "bad_item": "the service rejects this item: change it there, or see its code",
    "sync_error": "see its detail",
    "users_failed": "see the users and their codes",
    "configuration": "see its detail",
    "unexpected": _OUR_CODE,
    "too_many_questions": _OUR_CODE,
}
_ENDS = {
    "unavailable": _WAIT,
    "unreadable": _WAIT,
    "unreadable_page": _WAIT,
    "unreadable_answer": _WAIT,
    "answer_too_large": "the service sends more data than a calendar can hold: check it there",
    "unreadable_batch": _WAIT,
    "unreadable_event": _WAIT,
    "unstable_pages": _WAIT,
    "without_cursor": _WAIT,
    "endless_list": _WAIT,
    "living_events": _WAIT,
    "foreign_link": _WAIT,
    "limited": _WAIT_LIMIT,
    "busy": _WAIT_LIMIT,
    "cursor_expired": "the list of changes is read again",
    "cursor_refused": "the list of changes is read again",
    "calendar_gone": "the list of changes is read again",
    "deleted": "it no longer exists; the next sync handles it",
    "gone": "it no longer exists; the next sync handles it",
    "not_found": "it no longer exists; the next sync handles it",
    "changed_meanwhile": "it was changed in the meantime; the next sync handles it",
    "failed": "it was changed in the meantime; the next sync handles it",
    "duplicate": "it already exists; the next sync looks for it",
    "conflict": "it already exists; the next sync looks for it",
    "rejected": "the token is replaced",
}
_SYSTEMS = {
    "google": f"{_GOOGLE}; `calendar-sync check` tests the connection",
    "microsoft": f"{_MICROSOFT}; `calendar-sync check` tests the connection",
    "welkin": f"{_WELKIN}; `calendar-sync check` tests the connection",
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
# These are about mapping and connection, despite their prefix.
_OWN = frozenset(
    {
        "google_account_malformed", "microsoft_account_unknown", "welkin_client_unknown",
        "welkin_unauthorized", "welkin_user_unknown",
    }
)  # fmt: skip
#: What a code means in a test of a connection.
_OF_CONNECTION = {
    "no_connection": "the server cannot be reached: check the base URL (host) of the connection, "
    "and the network",
    "untrusted_certificate": "the server's certificate is not signed by a trusted authority: set "
    "`verify` in the extra of the connection to a CA bundle",
    # Welkin answers a wrong name and a wrong secret alike.
    "welkin_unauthorized": "the organization, the API client's name or its secret is wrong; "
    f"{_WELKIN}",
    "welkin_client_unknown": "the server does not know the API client: check base URL, "
    f"organization and token path; {_WELKIN}",
    "welkin_not_found": f"the organization has no such environment: check `instance`; {_WELKIN}",
    "welkin_access_restricted": "the API client may not read calendar events in this environment; "
    f"{_WELKIN}",
}


def advice(code: str) -> str:
    """What to do about this code."""
    if code in _ADVICE:
        return _ADVICE[code]
    for end, said in _ENDS.items():
        if code == end or code.endswith(f"_{end}"):
            return said
    return _SYSTEMS.get(code.partition("_")[0], _OUR_CODE)


def whose(code: str) -> str:
    """Who can fix it, in a few words."""
    if code in _NETWORKS:
        return "the network administrator"
    if code in _OWN:
        return "the administrator of the sync"
    if advice(code) in {_WAIT, _WAIT_LIMIT}:
        return "the service itself"
    system = code.partition("_")[0]
    return _ADMINISTRATORS.get(system, "the administrator of the sync")


def remedy(error: SyncError) -> str:
    """What to do about a connection that failed with this error.

    A detail of one word (a status, a kind of request) is left out: it does not help people.
    """
    if isinstance(error, ConfigurationError) and error.detail:
        return error.detail
    said = _OF_CONNECTION.get(error.code) or advice(error.code)
    return f"{error.detail}; {said}" if " " in error.detail else said
