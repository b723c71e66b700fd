"""The report for people: a page that mail programs show, and a few lines of plain text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

KINDS = {
    "account": "accounts that cannot be synced",
    "failing": "users whose sync fails",
    "late": "users over the freshness target",
    "approval": "waiting for approval",
    "parked": "refused items",
    "conflict": "conflicts left to a person",
    "platform_fault": "platform stopped",
    "silent": "not asked for changes",
    "check_failed": "accounts not checked",
    "audit": "record of operations damaged",
}
STEPS = {
    "create_mirror": "mirrors created",
    "adopt_mirror": "mirrors found again",
    "update_mirror": "mirrors changed",
    "delete_mirror": "mirrors removed",
    "create_block": "blocks created",
    "adopt_block": "blocks found again",
    "update_block": "blocks changed",
    "delete_block": "blocks removed",
    "reschedule": "appointments rescheduled",
    "cancel": "appointments cancelled",
}


@dataclass(frozen=True)
class Message:
    """What a notifier sends."""

    subject: str
    html: str
    text: str


def _when(value: str | None) -> str:
    """ISO text as a person reads it."""
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M}" if value else ""


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("calendar_sync.insight.health", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["when"] = _when
    return found


def page(document: dict[str, Any]) -> str:
    """The report as one HTML page without scripts; everything in it is escaped."""
    template = _environment().get_template("report.html.j2")
    return template.render(report=document, kinds=KINDS, steps=STEPS)


def message(document: dict[str, Any], html: str) -> Message:
    """The report as a message; the subject alone says whether somebody is needed."""
    attention = document["attention"]
    what = f"{attention} to look at" if attention else "all in step"
    subject = f"Calendar sync: {what} ({_when(document['at'])} UTC)"
    lines = [subject, ""]
    for item in document["items"]:
        who = " ".join(part for part in (item["platform"], item["account"]) if part)
        lines.append(f"- {KINDS.get(item['kind'], item['kind'])}: {who}: {item['code']}")
        lines.append(f"  {item['advice']}")
    for entry in document["platforms"]:
        done = sum(entry["synced"].values())
        lines.append(f"{entry['platform']}: {done} events synced in 24 hours")
    return Message(subject, html, "\n".join(lines))
