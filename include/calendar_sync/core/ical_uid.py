"""One form of an iCalUID for all calendars.

Exchange names an event by its GlobalObjectId in hexadecimal digits ([MS-OXOCAL], 2.2.1.27): 16
bytes that are always the same, 4 for the day of one occurrence, 16 more, 4 for the length of what
follows, and that. The id of an event from elsewhere is inside, after "vCal-Uid". Google keeps what
the invitation said: that id itself, or Exchange's digits without the day.
"""

import re

_GLOBAL_OBJECT_ID = re.compile(r"040000008200e00074c5b7101a82e008[0-9a-f]{48,}")
# In hexadecimal digits.
_DAY = slice(32, 40)
_CONTENT = 80
_FROM_ELSEWHERE = b"vCal-Uid\x01\x00\x00\x00".hex()


def same_everywhere(uid: str) -> str:
    """The uid as it is in every calendar, without the day of an occurrence."""
    uid = uid.strip().casefold()
    if not _GLOBAL_OBJECT_ID.fullmatch(uid):
        return uid
    content = uid[_CONTENT:]
    if content.startswith(_FROM_ELSEWHERE) and len(content) % 2 == 0:
        inside = bytes.fromhex(content.removeprefix(_FROM_ELSEWHERE))
        return inside.rstrip(b"\x00").decode(errors="replace").strip().casefold()
    return uid[: _DAY.start] + "0" * 8 + uid[_DAY.stop :]
