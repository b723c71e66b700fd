"""One form of an iCalUID for all calendars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.core.ical_uid import same_everywhere
from calendar_sync_sandbox.microsoft.wire import foreign_uid

HEAD = "040000008200E00074C5B7101A82E008"
MADE = "C0CFBB3A4F10DC01000000000000000010000000611ADE0CCACD674D8958B24742524618"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Abc@Google.com", " abc@google.com"),
        (f"{HEAD}00000000{MADE}", f"{HEAD}00000000{MADE}".lower()),
        (f"{HEAD}07EA030C{MADE}", f"{HEAD}00000000{MADE}"),
        (foreign_uid("abc@google.com"), "abc@google.com"),
        (
            foreign_uid("abc@google.com").replace(f"{HEAD}00000000", f"{HEAD}07EA030C"),
            "ABC@google.com",
        ),
    ],
)
def test_these_are_the_same(one: str, other: str) -> None:
    assert same_everywhere(one) == same_everywhere(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("abc@google.com", "abd@google.com"),
        (f"{HEAD}00000000{MADE}", f"{HEAD}00000000{MADE[:-1]}9"),
        (foreign_uid("abc@google.com"), foreign_uid("abd@google.com")),
        # Too short to have a day in it.
        (f"{HEAD}07EA030C", f"{HEAD}00000000"),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert same_everywhere(one) != same_everywhere(other)


@given(st.text())
def test_whatever_it_is_it_has_one_form(uid: str) -> None:
    assert same_everywhere(same_everywhere(uid)) == same_everywhere(uid)


@given(st.binary())
def test_whatever_exchange_carries_can_be_read(content: bytes) -> None:
    assert isinstance(same_everywhere(f"{HEAD}{'00' * 20}00000000{content.hex()}"), str)
