"""The same meeting in the calendars of both platforms needs one block (rule 7)."""

from calendar_sync.config.settings import BlockTime
from calendar_sync.core.model import STANDING, BlockLink, CalendarEvent, LinkState
from calendar_sync.planner.buffers import block_span
from calendar_sync.planner.snapshot import View


def covered(view: View, rules: BlockTime, event: CalendarEvent, link: BlockLink | None) -> bool:
    """The user's other calendar keeps a block for this meeting at the same time.

    What was decided about a block of this calendar stays. One that stands is given up only for one
    that Welkin shows, or that was written a moment ago.
    """
    span = block_span(event, rules)
    other = view.kept_elsewhere.get((view.identity.event_uid(event), span))
    if other is None or link is None:
        return other is not None
    if link.state is LinkState.DISMISSED:
        return link.span != span
    if link.state not in STANDING or (other.state is LinkState.LIVE and view.settling(other)):
        return True
    seen = view.blocks.get(other.block_id)
    if seen is None or seen.cancelled:
        return False
    return seen.span.instants(view.zone) == span.instants(view.zone)
