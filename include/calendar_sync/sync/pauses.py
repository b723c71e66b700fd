"""What a pause of a user means: nothing is asked or written for them until it ends.

Privacy goes first. What a calendar shows beyond a detail level that was lowered, and what stands in
a mailbox that is no longer the user's, is put right during a pause, too, and nothing else.
"""

from collections.abc import Iterable
from datetime import datetime

from calendar_sync.core.model import (
    STANDING,
    Link,
    MappedUser,
    MirrorLink,
    Platform,
    exceeds,
)
from calendar_sync.state import Store


def checked_for(level: str, mapped: MappedUser) -> str:
    """Names what may be shown, and where: if it changes, a paused user is looked at again."""
    return f"{level} {mapped.account.lower()}"


def too_much(link: Link, level: str, mapped: MappedUser) -> bool:
    """It must not stay until the pause ends."""
    if link.state not in STANDING:
        return False
    if link.account.lower() != mapped.account.lower():
        return True
    return isinstance(link, MirrorLink) and exceeds(link.level, level)


def any_too_much(links: Iterable[Link], level: str, mapped: MappedUser) -> bool:
    """Something of these must not stay until the pause ends."""
    return any(too_much(link, level, mapped) for link in links)


def end_pauses(store: Store, platform: Platform, now: datetime) -> None:
    """Mark everybody whose pause is over, for a full comparison: what was missed is found."""
    over = store.pauses.over(platform, now)
    if not over:
        return
    mapped = {row.user_id for row in store.config.mapping(platform, users=over) if row.enabled}
    with store.database.write() as connection:
        pairs = [(user_id, platform) for user_id in over if user_id in mapped]
        store.marks.begin_again(connection, pairs, now)
        store.pauses.close(connection, platform, over, now)
