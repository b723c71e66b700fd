"""What goes wrong where a person sets up, asks for, or tests something."""

from calendar_sync.core.codes.base import Code, Whose


class SetupCode(Code):
    """What is missing or wrong around the sync: its database, its connections, Airflow."""

    AIRFLOW_NOT_FOUND = (
        "airflow_not_found", "Airflow's API does not have this path",
        "is the host of the connection `calendar_sync_airflow` the base URL of the API server?",
        Whose.SYNC,
    )  # fmt: skip
    AIRFLOW_UNAVAILABLE = (
        "airflow_unavailable", "Airflow's API server does not answer",
        "is it running, and is the host of the connection `calendar_sync_airflow` right?",
        Whose.SYNC,
    )  # fmt: skip
    DAG_UNKNOWN = (
        "dag_unknown", "Airflow does not know this DAG",
        "is our `dags` folder where Airflow's is, and does its DAG processor run?", Whose.SYNC,
    )  # fmt: skip
    HIDDEN_CONNECTION = (
        "hidden_connection", "Airflow reads another connection than the one just stored",
        "an environment variable or a secrets backend of that name goes first. Remove it there, "
        "or change it there", Whose.SYNC,
    )  # fmt: skip
    KEY_LOST = (
        "key_lost", "events that were made with the signing key still exist, so no new key is made",
        "restore the connection `calendar_sync_hmac_key` from a backup of Airflow's database",
        Whose.SYNC,
    )  # fmt: skip
    NOT_WORKING = (
        "not_working", "the connection does not work", "check its fields", Whose.SYNC,
    )  # fmt: skip
    NO_CONNECTION_CONFIGURED = (
        "no_connection_configured", "there is no connection for this platform",
        "create it in Airflow", Whose.SYNC,
    )  # fmt: skip
    NO_MAILBOX_TRIED = (
        "no_mailbox_tried", "access to calendars was not tested, since no users are mapped",
        "map a user, or name a mailbox: `calendar-sync check --account MAILBOX`", Whose.SYNC,
    )  # fmt: skip
    SETTINGS_REFUSED = (
        "settings_refused", "this setting is ignored",
        "correct it on the page Settings, or with `calendar-sync config apply`", Whose.SYNC,
    )  # fmt: skip
    STATE_MISSING = (
        "state_missing", "there is a signing key, but no state database",
        "if CALENDAR_SYNC_DATABASE_URL names another place here than for scheduler and workers, "
        "correct it. If the database is lost, make a new one: synced events are found again by "
        "their marks", Whose.SYNC,
    )  # fmt: skip
    STATE_OTHER_VERSION = (
        "state_other_version", "the database belongs to another version of Calendar Sync",
        "run `calendar-sync db upgrade`, then restart what runs older code", Whose.SYNC,
    )  # fmt: skip
    STATE_REFUSED = (
        "state_refused", "the database does not let the API server make tables",
        "whoever runs Airflow runs `calendar-sync init` as the database's owner", Whose.SYNC,
    )  # fmt: skip
    STATE_UNREACHABLE = (
        "state_unreachable", "the state database does not answer",
        "is its server up, and is CALENDAR_SYNC_DATABASE_URL right?", Whose.SYNC,
    )  # fmt: skip


class RequestCode(Code):
    """Why what a person asked for was not done."""

    CHANGED_MEANWHILE = (
        "changed_meanwhile", "it was changed in the meantime", "reload the page", Whose.SYNC,
    )  # fmt: skip
    CONFLICT_CLOSED = (
        "conflict_closed", "it was decided in the meantime", "reload the page", Whose.SYNC,
    )  # fmt: skip
    MAPPED_AND_ENABLED = (
        "mapped_and_enabled", "the user is mapped and enabled again",
        "disable the row of the mapping first", Whose.SYNC,
    )  # fmt: skip
    NOT_MAPPED = (
        "not_mapped", "this user is not mapped on this platform",
        "correct the name in the params of the run, or the mapping", Whose.SYNC,
    )  # fmt: skip
    NOT_PARKED = (
        "not_parked", "it was retried in the meantime", "reload the page", Whose.SYNC,
    )  # fmt: skip
    NOT_OFFERED = (
        "not_offered", "this cannot be chosen", "reload the page", Whose.SYNC,
    )  # fmt: skip
    NOT_PAUSED = (
        "not_paused", "the sync of this user is not paused", "reload the page", Whose.SYNC,
    )  # fmt: skip
    NOT_POSSIBLE = (
        "not_possible", "this is no longer possible", "reload the page", Whose.SYNC,
    )  # fmt: skip
    PROBE_NOT_UNDONE = (
        "probe_not_undone", "the encounter could not be moved back", "move it back in Welkin",
        Whose.WELKIN,
    )  # fmt: skip
    REMOVALS_NOT_CONFIRMED = (
        "removals_not_confirmed", "rows of the mapping would be removed or disabled",
        "review the changes, and confirm them with their number", Whose.SYNC,
    )  # fmt: skip


class RuleCode(Code):
    """What an evaluation of the mapping rules found."""

    GROUP_UNKNOWN = (
        "group_unknown", "the directory has no such group",
        "nobody is disabled because of it. Correct `group` in the mapping rule, or remove the rule",
        Whose.SYNC,
    )  # fmt: skip
    LEAVERS_HELD = (
        "leavers_held", "so many people left their groups at once that this may be a mistake",
        "they are synced until you approve: see `calendar-sync approvals list`", Whose.SYNC,
    )  # fmt: skip
    NAMES_NOBODY = (
        "rule_names_nobody", "a mapping rule names nobody",
        "nobody is disabled because of it. Check the group, unit, role or domain that it names",
        Whose.SYNC,
    )  # fmt: skip
    NOT_EVALUATED = (
        "rules_not_evaluated", "the mapping rules could not be evaluated",
        "run `calendar-sync mapping rules`, which says why", Whose.SYNC,
    )  # fmt: skip
    RULES_CONTRADICT = (
        "rules_contradict", "two mapping rules give the same people different profiles",
        "the first rule decides. Change their order, or what they name", Whose.SYNC,
    )  # fmt: skip
    WAITING = (
        "rule_proposals", "mapping rules propose changes that nobody has accepted yet",
        "accept them on the page User mapping, or with `calendar-sync mapping rules --apply`",
        Whose.SYNC,
    )  # fmt: skip


class SelfTestCode(Code):
    """What a self-test found."""

    BLOCKED_ALL_THE_SAME = (
        "blocked_all_the_same", "the test event blocked time, although a setting excludes it",
        "report it", Whose.SYNC,
    )  # fmt: skip
    DIFFERS = (
        "differs", "the calendar shows other fields than the settings allow",
        "report it, and do not go live", Whose.SYNC,
    )  # fmt: skip
    INTERRUPTED = ("interrupted", "stopped by the user", "start it again", Whose.SYNC)
    MIRRORED_ALL_THE_SAME = (
        "mirrored_all_the_same",
        "the test appointment was synced, although its type is excluded",
        "report it, and do not go live", Whose.SYNC,
    )  # fmt: skip
    NOT_IN_TIME = (
        "not_in_time", "the change did not reach the other side in time",
        "is the DAG of this platform switched on and running? `calendar-sync explain` says how "
        "the sync handles it", Whose.SYNC,
    )  # fmt: skip
    NO_FREE_TIME = (
        "no_free_time", "the user has no 15 minutes free", "choose another user with --user",
        Whose.SYNC,
    )  # fmt: skip
    REMAINS = (
        "remains", "something that the test made could not be deleted",
        "the sync, or the next `calendar-sync selftest`, deletes it when both sides answer",
        Whose.SYNC,
    )  # fmt: skip
