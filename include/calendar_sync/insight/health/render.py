"""The report as an HTML page for e-mail, and as plain text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from calendar_sync.core.plurals import plural
from calendar_sync.insight.step_words import done

KINDS = {
    "account": "accounts that cannot be synced",
    "failing": "users whose sync fails",
    "late": "users whose changes are late",
    "approval": "changes that need your approval",
    "parked": "failed items",
    "conflict": "conflicts that need your decision",
    "platform_fault": "sync paused",
    "silent": "sync not running",
    "check_failed": "accounts not checked",
    "rule": "mapping rules",
    "audit": "audit log changed",
}


@dataclass(frozen=True)
class Message:
    """An e-mail, or what another notifier sends."""

    subject: str
    html: str
    text: str


def _when(value: str | None) -> str:
    """An ISO time without seconds."""
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
    found.filters.update(plural=plural, done=done)
    return found


def page(document: dict[str, Any]) -> str:
    """The report as one HTML page without scripts; everything in it is escaped."""
    template = _environment().get_template("report.html.j2")
    return template.render(report=document, kinds=KINDS)


def message(document: dict[str, Any], html: str) -> Message:
    """The report as a message. Its subject says if something needs attention."""
    attention = document["attention"]
    what = f"{plural(attention, 'item')} to look at" if attention else "all up to date"
    subject = f"Calendar sync: {what} ({_when(document['at'])} UTC)"
    lines = [subject, ""]
    for item in document["items"]:
        who = " ".join(part for part in (item["platform"], item["account"]) if part)
        lines.append(f"- {KINDS.get(item['kind'], item['kind'])}: {who}: {item['code']}")
        lines.append(f"  {item['advice']}")
    for entry in document["platforms"]:
        count = sum(entry["synced"].values())
        lines.append(f"{entry['platform']}: {plural(count, 'change')} synced in 24 hours")
    if rules := document.get("mapping_rules"):
        lines.append(f"mapping rules: {rules['in_words']}")
    return Message(subject, html, "\n".join(lines))
