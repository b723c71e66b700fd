"""Codes of failures: what each means, what to do about it, and who can.

Each family is an enum of its own, since only its adapter or package raises it. Their values do not
overlap. A code that is read from the database may be of another version: `code_of` takes any text.
"""

from collections.abc import Iterator

from calendar_sync.core.codes.base import Code, Whose, of_another_version
from calendar_sync.core.codes.google import GoogleCode
from calendar_sync.core.codes.microsoft import MicrosoftCode
from calendar_sync.core.codes.network import NetworkCode
from calendar_sync.core.codes.operations import RequestCode, RuleCode, SelfTestCode, SetupCode
from calendar_sync.core.codes.push import PushCode
from calendar_sync.core.codes.sync import AccountVerdict, SyncCode
from calendar_sync.core.codes.welkin import WelkinCode

__all__ = [
    "AccountVerdict",
    "Code",
    "GoogleCode",
    "MicrosoftCode",
    "NetworkCode",
    "PushCode",
    "RequestCode",
    "RuleCode",
    "SelfTestCode",
    "SetupCode",
    "SyncCode",
    "WelkinCode",
    "Whose",
    "all_codes",
    "code_of",
]

_FAMILIES: tuple[type[Code], ...] = (
    WelkinCode, GoogleCode, MicrosoftCode, NetworkCode, SyncCode, AccountVerdict, SetupCode,
    RequestCode, RuleCode, SelfTestCode, PushCode,
)  # fmt: skip


def all_codes() -> Iterator[Code]:
    """Every code of every family."""
    for family in _FAMILIES:
        yield from family


_BY_VALUE = {code.value: code for code in all_codes()}


def code_of(text: str) -> Code:
    """The code with this value. One of another version is a code without advice of its own."""
    return _BY_VALUE.get(text) or of_another_version(text)
