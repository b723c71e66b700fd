"""The settings for time around events that blocks, too."""

from pydantic import Field

from calendar_sync.config.sections import Section

LONGEST = 240


class Buffer(Section):
    """How much longer than its event a block is."""

    before_minutes: int = Field(default=0, ge=0, le=LONGEST)
    """The block begins so many minutes before the event."""
    after_minutes: int = Field(default=0, ge=0, le=LONGEST)
    """The block ends so many minutes after the event."""


class Buffers(Section):
    """Time around timed events that blocks, too. If several apply, the longest counts."""

    every_event: Buffer = Buffer()
    """Around every event."""
    with_place: Buffer = Buffer()
    """Around events with a location, except for addresses of online meetings."""
    online: Buffer = Buffer()
    """Around online meetings."""
    out_of_office: Buffer = Buffer()
    """Around out-of-office events."""
