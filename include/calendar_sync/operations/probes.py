"""What a Welkin does can differ from tenant to tenant: tried with one encounter that is named.

No recording shows whether an encounter can be rescheduled through its calendar event. The probe
moves one by a quarter of an hour, reads event and encounter back, and moves it back, whatever
happened in between. Only an encounter made for the purpose should be named.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import BadItem, ConfigurationError, OutcomeUnknown, SyncError
from calendar_sync.core.model import Span, WelkinEvent
from calendar_sync.state.runs import ENCOUNTERS_MOVE, WELKIN
from calendar_sync.sync.services import Services

UTC = ZoneInfo("UTC")
STEP = timedelta(minutes=15)
AHEAD = timedelta(hours=1)


async def probe_reschedule(services: Services, event_id: str) -> bool:
    """Find out whether encounters move with their event, and remember the answer.

    Raises:
        ConfigurationError: the event is not an encounter that may be moved.
        SyncError: Welkin could not be asked, or did not take the encounter back to its time.
    """
    event = await services.welkin.event(event_id, UTC)
    if event is None or event.kind != "ENCOUNTER" or event.cancelled or event.span.all_day:
        raise ConfigurationError(detail=f"{event_id} is not the event of a planned encounter")
    start, end = event.span.instants(UTC)
    if start < services.clock.now() + AHEAD:
        raise ConfigurationError(detail=f"{event_id} starts in less than an hour: use a later one")
    try:
        moves = await _moves(services, event, Span(start + STEP, end + STEP))
    finally:
        # Whatever was answered: a lost answer may hide that it was moved.
        back = await _undo(services, event)
    if back is None or back.span != event.span:
        raise SyncError(RequestCode.PROBE_NOT_UNDONE, detail=event_id)
    services.store.runs.set_facts(WELKIN, **{ENCOUNTERS_MOVE: moves})
    return moves


async def _moves(services: Services, event: WelkinEvent, to: Span) -> bool:
    """Move there: both the event and its encounter must say so afterwards."""
    try:
        moved = await services.welkin.move_event(event.id, to, UTC)
    except BadItem:
        return False
    if moved is None or moved.span != to:
        return False
    return await services.welkin.scheduled(event.host_id or "", event.id, UTC) == to


async def _undo(services: Services, event: WelkinEvent) -> WelkinEvent | None:
    """Back to its time; what refuses to be moved has most likely not been moved."""
    try:
        return await services.welkin.move_event(event.id, event.span, UTC)
    except (BadItem, OutcomeUnknown):
        return await services.welkin.event(event.id, UTC)
