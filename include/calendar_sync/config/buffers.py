"""The settings for time around events that blocks, too, and around visits."""

from pydantic import Field, field_validator

from calendar_sync.config.sections import Section

LONGEST = 240


class Buffer(Section):
    """How much longer than its event a block is, or a mirror than its visit."""

    before_minutes: int = Field(default=0, ge=0, le=LONGEST)
    """It begins so many minutes before."""
    after_minutes: int = Field(default=0, ge=0, le=LONGEST)
    """It ends so many minutes after."""


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


class VisitBuffers(Section):
    """Time around visits that their mirrors keep, too. If several apply, the longest counts."""

    every_visit: Buffer = Buffer()
    """Around every visit."""
    types: dict[str, Buffer] = Field(default={})
    """Around visits of encounter templates or event types; `*` and `?` are wildcards."""

    @field_validator("types")
    @classmethod
    def _are_named(cls, value: dict[str, Buffer]) -> dict[str, Buffer]:
        if not all(name.strip() for name in value):
            raise ValueError("the name of a type is empty")
        return value
