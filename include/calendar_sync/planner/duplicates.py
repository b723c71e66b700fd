"""Rule 5's warning: another integration copies visits into the calendar, without our marker.

Blocks for its copies would take every visit's time twice, so none are made until a person decides:
`ignore_external`, or `duplicates: block`. Meanwhile the appointments themselves keep the time.
"""

from collections.abc import Iterator

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import CalendarEvent, LinkState, Span
from calendar_sync.planner.busy import blocks_time
from calendar_sync.planner.snapshot import View

AT_LEAST = 5
SHARE = 0.5


class Twins:
    """Which events are unmarked twins of appointments, and whether there are suspiciously many."""

    def __init__(self, view: View, settings: Settings) -> None:
        self._view = view
        self._rules = settings.block_time
        self._times = view.twin_times
        self.held = 0
        self._suspicious = self._rules.duplicates == "warn" and self._many()

    def _many(self) -> bool:
        copied = {span for span in self._seen() if span in self._times}
        return len(copied) >= max(AT_LEAST, SHARE * len(self._times))

    def _seen(self) -> Iterator[Span]:
        """Times of external events of this read, and of those that are known already."""
        view = self._view
        for calendar in view.calendars:
            if not calendar.counts_as_busy:
                continue
            for event in calendar.living.values():
                if view.is_external(event, calendar) and self._takes_time(event):
                    yield event.span
        for link in view.block_links.values():
            if link.state in {LinkState.LIVE, LinkState.DUPLICATE}:
                yield link.span

    def _takes_time(self, event: CalendarEvent) -> bool:
        """Whether it is busy; one that trips us up is refused where its block is planned."""
        try:
            return blocks_time(event, self._rules, self._view.zone)
        except Exception:
            return False

    def holds(self, event: CalendarEvent) -> bool:
        """No block for this event: it is one of many twins. Counted in `held`."""
        found = self._suspicious and event.span in self._times
        self.held += found
        return found
