"""Results of the last tests, in the state database: codes and counts, never what was typed."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from calendar_sync.config.credentials import Fields
from calendar_sync.core.codes import code_of
from calendar_sync.core.model import iso
from calendar_sync.core.model.accounts import Finding
from calendar_sync.operations.preview import Effect
from calendar_sync.operations.selftest import Report
from calendar_sync.operations.setup.steps import Counted, Tested, Walked
from calendar_sync.state import Store

_PLACE = "setup"
_DRY_RUN, _SELFTEST = "dry_run", "selftest"
#: So many accounts are kept of each result.
KEPT = 20


def fingerprint(fields: Fields, key: str) -> str:
    """Tells whether a connection is still the one that was tested; keyed, as it is stored."""
    parts = [fields.host, fields.login, str(fields.password), _plain(fields.extra)]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hmac.new(f"setup:{key}".encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def _plain(extra: Mapping[str, Any]) -> str:
    return json.dumps(dict(extra), sort_keys=True, default=str)


def note_test(store: Store, name: str, mark: str, faults: Iterable[Finding], now: datetime) -> None:
    """What a test of a connection found; `mark` is the fingerprint of what was tested."""
    found = [[fault.account, fault.code.value, fault.advice] for fault in faults][:KEPT]
    store.runs.set_facts(_PLACE, **{name: {"at": iso(now), "mark": mark, "faults": found}})


def tested(facts: Mapping[str, Any], name: str, mark: str) -> Tested | None:
    """The last test of this connection, None when it was another one then, or was never tested."""
    row = facts.get(name)
    if row is None or row["mark"] != mark:
        return None
    faults = (Finding(account, code_of(code), said) for account, code, said in row["faults"])
    return Tested(datetime.fromisoformat(row["at"]), tuple(faults))


def note_dry_run(
    store: Store, effects: Iterable[Effect], settings: int, mapping: int, now: datetime
) -> None:
    """The counts of a dry run of everybody under these revisions."""
    planned: dict[str, int] = {}
    failed: dict[str, str] = {}
    users = 0
    for effect in effects:
        users += effect.users
        failed |= effect.failed
        for step, count in effect.steps.items():
            planned[step] = planned.get(step, 0) + count
    row = {
        "at": iso(now),
        "settings": settings,
        "mapping": mapping,
        "users": users,
        "planned": planned,
        "failed": dict(sorted(failed.items())[:KEPT]),
    }
    store.runs.set_facts(_PLACE, **{_DRY_RUN: row})


def note_selftest(store: Store, report: Report, now: datetime) -> None:
    """How a self-test ended."""
    failed = report.failed
    row = {
        "at": iso(now),
        "account": report.account,
        "platform": report.platform,
        "passed": report.passed,
        "step": failed.text if failed else "",
        "code": failed.code if failed else "",
        "advice": failed.advice if failed else "",
    }
    store.runs.set_facts(_PLACE, **{_SELFTEST: row})


def facts(store: Store) -> dict[str, Any]:
    """All results."""
    return store.runs.facts(_PLACE)


def counted(found: Mapping[str, Any]) -> Counted | None:
    """The last dry run."""
    row = found.get(_DRY_RUN)
    return Counted(**{**row, "at": datetime.fromisoformat(row["at"])}) if row else None


def walked(found: Mapping[str, Any]) -> Walked | None:
    """The last self-test."""
    row = found.get(_SELFTEST)
    return Walked(**{**row, "at": datetime.fromisoformat(row["at"])}) if row else None
