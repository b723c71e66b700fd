"""What the tasks of `calendar_sync_approvals` do."""

import logging
from datetime import tzinfo
from functools import partial

from calendar_sync.core.clock import SystemClock
from calendar_sync.operations.approvals import Waiting, decline, grant, grouped, waiting
from calendar_sync.orchestration.airflow_questions import pages_address
from calendar_sync.orchestration.running import with_store
from calendar_sync.state import Store

logger = logging.getLogger(__name__)

# Airflow refuses to map a task over more than 1,024 values (`max_map_length`).
QUESTIONS = 100


def list_waiting() -> list[dict[str, str]]:
    """What waits for a person, as questions: digest, subject, body (Markdown)."""

    def work(store: Store) -> list[dict[str, str]]:
        zone = store.config.revision().settings.zone()
        return [
            {"digest": one.digest, "subject": one.question, "body": _question(one, zone)}
            for one in grouped(waiting(store), QUESTIONS)
        ]

    return with_store(work)


def _question(one: Waiting, zone: tzinfo) -> str:
    """Users and counts, dates, the reason, and where to see the items."""
    when = one.when(zone)
    since = f"Waiting since {one.since.astimezone(zone):%Y-%m-%d %H:%M} ({zone})."
    parts = [
        listed(one.users),
        f"Dates: {when}." if when else "",
        one.why,
        f"{since} An approval is valid for 24 hours.",
        "You can also see the items and answer on the page "
        f"[Attention]({pages_address()}/attention). Approval `{one.digest}`.",
    ]
    return "\n\n".join(part for part in parts if part)


def approve(digest: str, author: str) -> int:
    """Grant this, or all of these (with commas); returns how many users it concerns."""
    count = 0
    for one in digest.split(","):
        users = with_store(partial(grant, digest=one, author=author, now=SystemClock().now()))
        logger.info("approval %s by %s: %d users", one, author, users)
        count += users
    return count


def leave(digest: str, author: str) -> int:
    """Keep for now: nothing happens, and the question is not asked again for a day."""
    count = 0
    for one in digest.split(","):
        users = with_store(partial(decline, digest=one, author=author, now=SystemClock().now()))
        logger.info("approval %s declined by %s: %d users", one, author, users)
        count += users
    return count


def short(digest: str) -> str:
    """One digest unchanged; of several, the first and their number."""
    first, *others = digest.split(",")
    return f"{first} and {len(others)} more" if others else first


def listed(users: dict[str, int]) -> str:
    """Accounts with their counts, as Markdown; at most 50."""
    shown = list(users.items())[:50]
    lines = [f"- `{account}`: {count}" for account, count in shown]
    if more := len(users) - len(shown):
        lines.append(f"- and {more} more")
    return "\n".join(lines)
