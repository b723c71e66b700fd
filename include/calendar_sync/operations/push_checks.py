"""Does the address of the receiver answer, as far as can be told from here?"""

from datetime import datetime, timedelta

from calendar_sync.adapters.http import send_once
from calendar_sync.adapters.microsoft.push import PATH
from calendar_sync.core.codes import Code, PushCode, code_of
from calendar_sync.core.errors import TransientError
from calendar_sync.core.model import Finding, Platform
from calendar_sync.push.channels import BLOCKED
from calendar_sync.state import Store

TOKEN = "calendar-sync-check"  # noqa: S105 - nothing secret
SECONDS = 10.0
PROVED_FOR = timedelta(days=1)


def check_push(store: Store, now: datetime) -> list[Finding] | None:
    """What keeps notices from arriving; None while push is off. One request to our own address."""
    address = store.config.revision().settings.push.address
    if not address:
        return None
    delivered = [
        each.delivered_at
        for platform in Platform
        for each in store.push.channels(platform)
        if each.delivered_at is not None
    ]
    # What arrives, arrives: from inside, a public address may look unreachable.
    proved = bool(delivered) and now - max(delivered) <= PROVED_FOR
    codes: list[Code | None] = [None if proved else _answers(address)]
    for platform in Platform:
        blocked = store.runs.facts(platform.value).get(BLOCKED) or {}
        codes.append(code_of(blocked["code"]) if blocked else None)
        opened = [each for each in store.push.channels(platform) if each.expires_at is not None]
        if opened and not any(each.delivered_at for each in opened):
            # The first message of Google's comes at once; of Microsoft's, with the first change.
            codes.append(PushCode.UNVERIFIED if platform is Platform.GOOGLE else None)
    return [Finding.of(code) for code in dict.fromkeys(codes) if code is not None]


def _answers(address: str) -> Code | None:
    """The handshake of Microsoft's, which the receiver answers to anybody."""
    try:
        status, body = send_once(
            "POST", f"{address}{PATH}?validationToken={TOKEN}", b"", seconds=SECONDS
        )
    except TransientError:
        return PushCode.ADDRESS_UNREACHABLE
    return None if status == 200 and body == TOKEN.encode() else PushCode.ADDRESS_OTHER
