"""Does a mirror say just what the settings allow?"""

from calendar_sync.core.model import Availability, CalendarEvent, WelkinEvent
from calendar_sync.planner import mirror_text
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

SHORTEST_TITLE = 255


def differences(
    services: Services, scope: Scope, appointment: WelkinEvent, mirror: CalendarEvent
) -> list[str]:
    """Names of the fields that are not as they should be; nothing of their content."""
    identity = services.identity
    wanted = mirror_text.draft(
        identity.appointment(appointment, None),
        scope.settings,
        identity,
        scope.zone.key,
        scope.platform,
    )
    shown = Availability.TENTATIVE if wanted.tentative else Availability.BUSY
    hidden = identity.test_title(scope.user_id)
    said = {
        "marker": mirror.marker == identity.marker(scope.user_id, appointment.id),
        # Calendars cut titles at different lengths.
        "title": _words(mirror.title)[:SHORTEST_TITLE] == _words(wanted.title)[:SHORTEST_TITLE],
        "description": _words(mirror.description) == _words(wanted.description),
        "text of Welkin": hidden not in f"{mirror.title}\n{mirror.description}",
        "time": mirror.span == wanted.span,
        "privacy": mirror.private,
        "location": _words(mirror.location) == _words(wanted.location or ""),
        "busy": mirror.availability is shown,
        "guests": not mirror.has_attendees,
    }
    return [name for name, right in said.items() if not right]


def _words(text: str) -> str:
    return " ".join(text.split())
