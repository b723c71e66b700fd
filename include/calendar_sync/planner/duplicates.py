"""Duplicates (rule 5): another integration copies visits into the calendar, without our marker.

Blocks for these copies would take the time of each visit twice. None are made until a person
decides: `ignore_external`, or `duplicates: block`. Meanwhile the visits themselves keep the time.
"""

from collections.abc import Iterator

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import CalendarEvent, LinkState, Span
from calendar_sync.planner.buffers import possible
from calendar_sync.planner.busy import blocks_time
from calendar_sync.planner.snapshot import View

AT_LEAST = 5
SHARE = 0.5


class Duplicates:
    """Which events are unmarked copies of appointments, and whether there are suspiciously many."""

    def __init__(self, view: View, settings: Settings) -> None:
        self._view = view
        self._rules = settings.block_time
        self._times = view.appointment_times
        self.held = 0
        self._suspicious = self._rules.duplicates == "warn" and self._many()

    def _many(self) -> bool:
        copied = {self._times[span] for span in self._seen() if span in self._times}
        return len(copied) >= max(AT_LEAST, SHARE * len(set(self._times.values())))

    def _seen(self) -> Iterator[Span]:
        """Times of the external events of this read and of those with a link."""
        view = self._view
        for calendar in view.calendars:
            if not calendar.counts_as_busy:
                continue
            for event in calendar.living.values():
                if view.is_external(event, calendar) and self._takes_time(event):
                    yield event.span
        buffers = possible(self._rules)
        time_of_block = {one.widen(time): time for time in self._times for one in buffers}
        for link in view.block_links.values():
            counts = link.state in {LinkState.LIVE, LinkState.SHARED}
            if counts and link.span in time_of_block:
                yield time_of_block[link.span]
            elif link.state is LinkState.DUPLICATE:
                yield link.span

    def _takes_time(self, event: CalendarEvent) -> bool:
        """It is busy; one that causes an error is refused where its block is planned."""
        try:
            return blocks_time(event, self._rules, self._view.zone)
        except Exception:
            return False

    def holds(self, event: CalendarEvent) -> bool:
        """No block for this event: it is one of many duplicates. Counted in `held`."""
        found = self._suspicious and event.span in self._times
        self.held += found
        return found
