"""Try what was typed before it is stored, and say what is wrong with it."""

from calendar_sync.config.credentials import CONNECTION_IDS, WELKIN, welkin_credentials
from calendar_sync.config.settings import Settings
from calendar_sync.core.clock import Clock
from calendar_sync.core.errors import SyncError
from calendar_sync.core.model.accounts import Finding
from calendar_sync.operations.connection_checks import (
    check_platform,
    check_welkin,
    found,
)
from calendar_sync.operations.setup.typed import Typed

_PLATFORMS = {name: platform for platform, name in CONNECTION_IDS.items()}


async def try_typed(
    name: str, typed: Typed, mailbox: str, settings: Settings, clock: Clock
) -> list[Finding]:
    """Every fault. Nothing is written anywhere.

    Args:
        name: of the connection.
        typed: its fields.
        mailbox: one to open; empty for none, then the credentials alone are tried.
        settings: how fast we may ask, and what is read.
        clock: of the answers.
    """
    try:
        if name == WELKIN:
            return await check_welkin(welkin_credentials(typed.fields), clock)
        accounts = [mailbox] if mailbox else []
        return await check_platform(typed.fields, _PLATFORMS[name], accounts, settings, clock)
    except SyncError as error:
        return [found(error)]
