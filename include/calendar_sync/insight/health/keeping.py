"""Put a report together and keep it: the same for the DAG and for the command."""

from dataclasses import dataclass
from datetime import datetime

from calendar_sync.config.settings import Notify
from calendar_sync.insight.health.render import Message, message, page
from calendar_sync.insight.health.report import Report, build
from calendar_sync.state import Store, seals


@dataclass(frozen=True)
class Kept:
    """A stored report with its number, the message about it, and the recipients."""

    id: int
    at: datetime
    report: Report
    message: Message
    notify: Notify


def keep(store: Store, run_id: str, now: datetime, *, checked: bool = True) -> Kept:
    """Build the report, with the check of the operations' chain, and store it.

    Args:
        store: the state database, with the organisation's key.
        run_id: of the DAG run, or of the command.
        now: the time of the report.
        checked: the accounts were looked at before.
    """
    revision = store.config.revision()
    made = build(store, revision, now, audit=seals.verify(store), checked=checked)
    html = page(made.document)
    number = store.health.save_report(run_id, now, made.attention, made.document, html)
    told = message(made.document, html)
    return Kept(number, now, made, told, revision.settings.notify)
