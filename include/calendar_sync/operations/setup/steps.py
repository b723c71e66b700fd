"""The steps and how each stands: computed from what is there, by pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from calendar_sync.core import dag_ids
from calendar_sync.core.codes import Code, MicrosoftCode, SetupCode, SyncCode, code_of
from calendar_sync.core.model import LINK, PLACE, Finding, Platform
from calendar_sync.core.plurals import plural
from calendar_sync.state.place import Place

#: So many accounts that cannot be read are named.
NAMED = 5
#: The sync works all the same, as far as is known.
SPARED = frozenset({SetupCode.NO_MAILBOX_TRIED, MicrosoftCode.DIRECTORY_DENIED})


class StepStanding(StrEnum):
    """How a step stands. `LATER`: it cannot be known before an earlier step is done."""

    DONE = "done"
    TODO = "to do"
    FAULT = "fault"
    LATER = "not known yet"


_PLACES = {
    Place.OTHER_VERSION: SetupCode.STATE_OTHER_VERSION,
    Place.UNREACHABLE: SetupCode.STATE_UNREACHABLE,
}
_NO_FAULT: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Tested:
    """The last test of a connection as it is stored now."""

    at: datetime
    faults: tuple[Finding, ...] = ()

    @property
    def works(self) -> bool:
        """Accepted. A fault of a single mailbox does not keep others from working."""
        return all(fault.account or fault.code in SPARED for fault in self.faults)

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The faults to show: without the one that no users are mapped yet."""
        return tuple(fault for fault in self.faults if fault.code != SetupCode.NO_MAILBOX_TRIED)


@dataclass(frozen=True)
class Connected:
    """A connection in Airflow; `detail` names the field that is wrong."""

    status: Literal["configured", "incomplete", "missing"] = "missing"
    detail: str = ""
    tested: Tested | None = None


@dataclass(frozen=True)
class Counted:
    """The last dry run: what the first sync would do. `failed` are codes by account."""

    at: datetime
    settings: int
    mapping: int
    users: int
    planned: Mapping[str, int]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Walked:
    """The last self-test: the account, and the step that failed."""

    at: datetime
    account: str
    platform: str
    passed: bool
    step: str = ""
    code: str = ""
    advice: str = ""


@dataclass(frozen=True)
class There:
    """What is there.

    `settings` and `mapping` are the newest revisions, 0 for none; `mapped` counts enabled rows;
    `paused` has each DAG, None for one that Airflow does not know, and is empty if they could not
    look.
    """

    place: Place
    key: Connected = field(default_factory=Connected)
    welkin: Connected = field(default_factory=Connected)
    calendars: Mapping[Platform, Connected] = field(default_factory=dict)
    settings: int = 0
    level: str = ""
    mapping: int = 0
    mapped: Mapping[Platform, int] = field(default_factory=dict)
    dry_run: Counted | None = None
    walked: Walked | None = None
    paused: Mapping[str, bool | None] = field(default_factory=dict)

    @property
    def prepared(self) -> bool:
        """State database and key."""
        return self.place is Place.READY and self.key.status == "configured"

    @property
    def in_use(self) -> list[Platform]:
        """Platforms with mapped users; before there are any, those with a connection."""
        mapped = [platform for platform in Platform if self.mapped.get(platform)]
        return mapped or [
            platform for platform, one in self.calendars.items() if one.status == "configured"
        ]


@dataclass(frozen=True)
class Step:
    """One step; `said` is how it stands in a sentence, `needs` and `who` what it takes."""

    key: str
    title: str
    needs: str
    who: str
    standing: StepStanding
    said: str = ""
    faults: tuple[Finding, ...] = ()


def steps(there: There) -> list[Step]:
    """All of them, in order."""
    made = [_prepare(there), _welkin(there), _calendars(there), _privacy(there), _people(there)]
    ready = all(step.standing is StepStanding.DONE for step in made if step.key != "privacy")
    return [*made, _dry_run(there, ready), _selftest(there, ready), _switch_on(there, ready)]


def next_step(found: Iterable[Step]) -> Step | None:
    """The first that can be done now; None when all are done."""
    for step in found:
        if step.standing in {StepStanding.TODO, StepStanding.FAULT}:
            return step
    return None


def dags_of(platforms: Iterable[Platform]) -> list[str]:
    """The DAGs to switch on."""
    return [*map(dag_ids.sync_of, platforms), dag_ids.HEALTH, dag_ids.MAINTENANCE]


# --- the steps ----------------------------------------------------------------------------------


def _prepare(there: There) -> Step:
    standing, said, faults = StepStanding.DONE, "State database and signing key exist.", _NO_FAULT
    if there.place.is_free and there.key.status != "missing":
        standing, faults = StepStanding.FAULT, _one(SetupCode.STATE_MISSING)
    elif there.place.is_free:
        standing, said = StepStanding.TODO, "The state database does not exist yet."
    elif there.place is not Place.READY:
        standing, faults = StepStanding.FAULT, _one(_PLACES[there.place])
    elif there.key.status == "missing":
        standing, said = StepStanding.TODO, "The signing key is missing."
    elif there.key.status != "configured":
        standing, faults = StepStanding.FAULT, _one(SyncCode.CONFIGURATION, there.key.detail)
    return Step(
        "prepare",
        "Prepare the database",
        "A state database: a file beside Airflow, or the PostgreSQL database in "
        "CALENDAR_SYNC_DATABASE_URL. And a signing key, stored as an Airflow connection.",
        "Created automatically at the first start. If that fails: the Airflow administrator.",
        standing,
        said if standing is not StepStanding.FAULT else "The database cannot be used.",
        faults,
    )


def _welkin(there: There) -> Step:
    standing, said, faults = _of_connection(there.welkin, "Welkin")
    return _after(
        there.prepared,
        Step(
            "welkin",
            "Connect Welkin",
            "Base URL, organization, environment, and an API client with its secret.",
            "The Welkin administrator creates the API client. Its secret is shown only once.",
            standing,
            said,
            faults,
        ),
    )


def _calendars(there: There) -> Step:
    found = {name: _of_connection(one, name.calendars) for name, one in there.calendars.items()}
    there_are = {
        name: one for name, one in found.items() if there.calendars[name].status != "missing"
    }
    faults = tuple(fault for _, _, own in there_are.values() for fault in own)
    standings = {one[0] for one in there_are.values()}
    unconnected = [name for name, count in there.mapped.items() if count and name not in there_are]
    if unconnected:
        names = " and ".join(name.calendars for name in unconnected)
        standing, said = StepStanding.TODO, f"Users are mapped to {names}, which is not connected."
    elif not there_are:
        standing, said = StepStanding.TODO, "No calendar system is connected yet. One is enough."
    else:
        order = (StepStanding.FAULT, StepStanding.TODO, StepStanding.DONE)
        standing = next(one for one in order if one in standings)
        said = " ".join(one[1] for one in there_are.values())
    return _after(
        there.prepared,
        Step(
            "calendars",
            "Connect the calendars",
            "For Google: a service account's key (JSON), with domain-wide delegation. "
            "For Microsoft 365: tenant ID, client ID and a client secret.",
            "For Google: a super administrator of the Workspace. For Microsoft 365: an "
            "administrator of Entra.",
            standing,
            said,
            faults,
        ),
    )


def _privacy(there: There) -> Step:
    chosen = there.settings > 0
    return _after(
        there.place is Place.READY,
        Step(
            "privacy",
            "Choose what calendar entries show",
            "A decision: “Busy” only, the type of visit, or more.",
            "The person responsible for privacy in your organisation.",
            StepStanding.DONE if chosen else StepStanding.TODO,
            _level(there.level) if chosen else "Not decided yet.",
        ),
    )


_SHOWN = {
    "busy": "one fixed text",
    "type": "the type of visit",
    "full": "a template with patient data",
}
_ALSO = {PLACE: "places of the practice", LINK: "join links"}


def _level(level: str) -> str:
    texts, *more = level.split("+")
    title, _, text = texts.partition("/")
    described = "nothing" if text == "busy" else _SHOWN.get(text, text)
    also = f" Also shown: {', '.join(_ALSO.get(one, one) for one in more)}." if more else ""
    return f"Titles show {_SHOWN.get(title, title)}, descriptions {described}.{also}"


def _people(there: There) -> Step:
    counts = [
        f"{count} on {platform.calendars}" for platform, count in there.mapped.items() if count
    ]
    return _after(
        there.place is Place.READY,
        Step(
            "people",
            "Map users to mailboxes",
            "The staff to sync, and their mailboxes. Calendar Sync proposes matches by e-mail "
            "address; you can also import a file.",
            "Someone who knows the staff and their mailboxes.",
            StepStanding.DONE if counts else StepStanding.TODO,
            f"Mapped: {', '.join(counts)}." if counts else "No user is mapped yet.",
        ),
    )


def _dry_run(there: There, ready: bool) -> Step:
    run, standing, said, faults = there.dry_run, StepStanding.TODO, "Not previewed yet.", _NO_FAULT
    if run is not None and (run.settings, run.mapping) != (there.settings, there.mapping):
        said = "Settings or mapping have changed since the last preview."
    elif run is not None and run.failed:
        some = list(run.failed.items())[:NAMED]
        faults = tuple(Finding.of(code_of(code), account=account) for account, code in some)
        standing = StepStanding.FAULT
        said = f"{len(run.failed)} of {run.users} accounts cannot be read."
    elif run is not None:
        standing, said = StepStanding.DONE, _would(run)
    return _after(
        ready,
        Step(
            "dry_run",
            "Preview the first sync",
            "Nothing. Both sides are read; nothing is written.",
            "You.",
            standing,
            said,
            faults,
        ),
    )


def _would(run: Counted) -> str:
    total = sum(run.planned.values())
    made = run.planned.get("create_mirror", 0) + run.planned.get("adopt_mirror", 0)
    blocks = run.planned.get("create_block", 0) + run.planned.get("adopt_block", 0)
    rest = total - made - blocks
    more = f", and {plural(rest, 'other change')}" if rest else ""
    return (
        f"{plural(run.users, 'account')}: {plural(made, 'event')} for calendars, "
        f"{plural(blocks, 'busy block')} for Welkin{more}."
    )


def _selftest(there: There, ready: bool) -> Step:
    walked, standing, said, faults = there.walked, StepStanding.TODO, "Not tested yet.", _NO_FAULT
    if walked is not None and walked.passed:
        standing, said = StepStanding.DONE, f"Passed for {walked.account}."
    elif walked is not None:
        standing = StepStanding.FAULT
        said = f"Failed for {walked.account}: {walked.step or 'it was not finished'}."
        faults = (
            (Finding.of(code_of(walked.code), walked.advice, walked.account),)
            if walked.code
            else ()
        )
    return _after(
        ready,
        Step(
            "selftest",
            "Test with one person",
            "One mapped person whose calendar may be written to. The test books a visit and checks "
            "that it appears in the calendar. It adds a private event to the calendar and checks "
            "that Welkin shows the time as unavailable. Then it deletes both.",
            "You, and the person whose calendar it is.",
            standing,
            said,
            faults,
        ),
    )


def _switch_on(there: There, ready: bool) -> Step:
    wanted = dags_of(there.in_use)
    off = [name for name in wanted if there.paused.get(name) is True]
    unknown = [name for name in wanted if there.paused.get(name) is None]
    standing, said, faults = StepStanding.TODO, f"Switched off: {', '.join(off)}.", _NO_FAULT
    if not there.paused:
        standing, said = StepStanding.LATER, "The DAGs could not be read from Airflow."
    elif unknown:
        standing, said = StepStanding.FAULT, f"Airflow does not know {', '.join(unknown)}."
        faults = _one(SetupCode.DAG_UNKNOWN)
    elif not off:
        standing, said = StepStanding.DONE, "The sync is on."
    return _after(
        ready,
        Step(
            "switch_on",
            "Switch on the sync",
            f"These DAGs run by their schedules: {', '.join(wanted)}.",
            "Someone who can edit these DAGs in Airflow.",
            standing,
            said,
            faults,
        ),
    )


# --- pieces -------------------------------------------------------------------------------------


def _of_connection(one: Connected, name: str) -> tuple[StepStanding, str, tuple[Finding, ...]]:
    if one.status == "missing":
        return StepStanding.TODO, f"{name} is not connected yet.", ()
    if one.status == "incomplete":
        return (
            StepStanding.FAULT,
            f"{name} is incomplete.",
            _one(SyncCode.CONFIGURATION, one.detail),
        )
    if one.tested is None:
        return StepStanding.TODO, f"{name}: stored, not tested yet.", ()
    if not one.tested.works:
        return StepStanding.FAULT, f"{name} does not work.", one.tested.faults
    said = f"{name} works."
    if any(fault.code == SetupCode.NO_MAILBOX_TRIED for fault in one.tested.faults):
        said = f"{name} accepts the credentials. The preview will try the mailboxes."
    return StepStanding.DONE, said, one.tested.shown


def _after(before: bool, step: Step) -> Step:
    """The step, or that nothing is known of it yet."""
    if before or step.standing is StepStanding.DONE:
        return step
    said = "Do the steps above first."
    return Step(step.key, step.title, step.needs, step.who, StepStanding.LATER, said)


def _one(code: Code, said: str = "") -> tuple[Finding, ...]:
    return (Finding.of(code, said),)


def document(found: Sequence[Step]) -> list[dict[str, object]]:
    """For JSON."""
    return [
        {
            **vars(step),
            "standing": step.standing.value,
            "faults": [vars(one) for one in step.faults],
        }
        for step in found
    ]
