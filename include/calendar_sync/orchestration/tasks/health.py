"""What the tasks of `sync_health` do."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from calendar_sync.core.clock import SystemClock
from calendar_sync.core.model import Platform
from calendar_sync.insight.health import accounts
from calendar_sync.insight.health.keeping import keep
from calendar_sync.operations.mapping import rules
from calendar_sync.orchestration.metrics import emit_health
from calendar_sync.orchestration.notify import send
from calendar_sync.orchestration.running import run, with_store
from calendar_sync.state import Store
from calendar_sync.state.config import Revision
from calendar_sync.sync.services import Services

logger = logging.getLogger(__name__)


def evaluate_rules() -> str:
    """Add and disable users as the mapping rules say; returns what was done."""

    async def work(services: Services, revision: Revision) -> str:
        return (await rules.evaluate(services, rules.Mode.DAILY)).sentence

    return run(work, own_tokens=True)


def list_accounts() -> list[dict[str, Any]]:
    """Everybody who is mapped, in groups for mapped tasks. Welkin is asked here, and only here."""

    async def work(services: Services, revision: Revision) -> list[accounts.Group]:
        return await accounts.groups(services)

    return [asdict(one) for one in run(work, own_tokens=True)]


def validate_accounts(group: dict[str, Any]) -> str:
    """Check the users of one group; returns the label."""
    platform = Platform(group["platform"])
    made = accounts.Group(platform, tuple(group["users"]), group["known"])

    async def work(services: Services, revision: Revision) -> str:
        found = await accounts.validate(services, revision.settings, made)
        for one in found:
            if one.verdict != "ok":
                logger.warning("%s: %s %s", one.account, one.verdict, one.code)
        return accounts.label(platform, found)

    return run(work, own_tokens=True)


@dataclass(frozen=True)
class Reported:
    """A stored report; `not_sent_because` is empty if it was sent."""

    id: int
    attention: int
    not_sent_because: str


def report(run_id: str, *, checked: bool = True) -> Reported:
    """Put the report together, keep it, and send it if the settings name recipients.

    Args:
        run_id: of the DAG run, or of the command.
        checked: the accounts could be looked at.
    """

    def work(store: Store) -> Reported:
        kept = keep(store, run_id, SystemClock().now(), checked=checked)
        emit_health(kept.report.document["platforms"])
        attention, notify = kept.report.attention, kept.notify
        if (attention and notify.alerts) or notify.daily_summary:
            reason = send(notify, kept.message)
        else:
            reason = "nothing needs attention, and daily summaries are off"
        store.health.sent(kept.id, None if reason else kept.at, reason)
        return Reported(kept.id, attention, reason)

    done = with_store(work)
    how = done.not_sent_because or "sent"
    logger.info("report %d: %d to look at; %s", done.id, done.attention, how)
    return done
