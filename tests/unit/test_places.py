"""Whether a location is a place or the address of an online meeting."""

import pytest

from calendar_sync.core.places import place_and_online


@pytest.mark.parametrize(
    ("location", "place", "online"),
    [
        (None, False, False),
        ("", False, False),
        (" \n", False, False),
        ("12 Elm Street, Springfield", True, False),
        ("Room 5; Room 6", True, False),
        ("https://zoom.us/j/123?pwd=a;b", False, True),
        ("HTTPS://meet.google.com/abc-defg-hij", False, True),
        ("Room 5, https://zoom.us/j/123", True, False),
        ("https://zoom.us/j/123; Room 5", True, False),
        ("Microsoft Teams Meeting", False, True),
        ("Microsoft Teams-Besprechung; Conference Room 2", True, False),
        ("Zoom", False, True),
        ("ZoomCare Clinic", True, False),
        (" ; ,", False, False),
    ],
)
def test_what_a_location_says(location: str | None, place: bool, online: bool) -> None:
    assert place_and_online(location, conference=False) == (place, online)
    assert place_and_online(location, conference=True) == (place, True)
