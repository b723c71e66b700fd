"""The section `push` of the settings: where calendar systems may tell us of changes."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from calendar_sync.config.sections import Section

LONGEST_ADDRESS = 200
_SIGNS = re.compile(r"[A-Za-z0-9._~:/\[\]-]+")


class Push(Section):
    """Changes are told by Google, Microsoft and Welkin as they happen, at a public address."""

    address: str = ""
    """Public https address of the receiver; empty: push is off."""
    poll_seconds: int = Field(default=300, ge=60, le=86_400)
    """Seconds between two polls of a Google account whose notices arrive reliably."""

    @field_validator("address")
    @classmethod
    def _a_public_address(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if not value:
            return ""
        if len(value) > LONGEST_ADDRESS:
            raise ValueError(f"longer than {LONGEST_ADDRESS} characters")
        try:
            parts = urlsplit(value)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.scheme != "https" or not _SIGNS.fullmatch(value):
            raise ValueError("give an address such as https://sync.example.org/calendar-sync-push")
        return value

    @property
    def on(self) -> bool:
        """An address is named."""
        return bool(self.address)
