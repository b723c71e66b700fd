"""Welkin's lists, read whole: pages of an unknown order over a set that may change meanwhile.

What a tenant does not take (a long window, a sort order) is learnt from its refusals, once for the
life of a client.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from calendar_sync.adapters.http import Answer
from calendar_sync.adapters.welkin.parse import welkin_time
from calendar_sync.core.codes import WelkinCode
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import BadItem, TransientError

LONGEST_CHUNK = timedelta(days=3660)
SHORTEST_CHUNK = timedelta(days=1)
PAGE = 200
RESCANS = 3
SORT = "sort"


class Call(Protocol):
    """Sends a request with the tenant's token."""

    async def __call__(
        self, kind: str, method: str, path: str, *, params: Mapping[str, str]
    ) -> Answer:
        """Raises `SyncError`s; `BadItem` for what the server does not take."""
        ...


class Lists:
    """All rows of a list, each once."""

    def __init__(self, call: Call, events_path: str) -> None:
        self._call = call
        self._events_path = events_path
        self._chunk = LONGEST_CHUNK
        self._sorts = True

    @property
    def longest(self) -> timedelta:
        """The longest window that was not refused."""
        return self._chunk

    async def events(
        self, users: str, start: datetime, end: datetime, chunk: timedelta
    ) -> list[Any]:
        """Calendar events of a window, which may be asked in several chunks: some come twice."""
        before = self._chunk
        length = min(chunk, before)
        chunks = []
        while start < end:
            chunks.append((start, min(start + length, end)))
            start += length
        try:
            found = await together(self._halving(users, *chunk) for chunk in chunks)
        except BadItem:
            # Not the length was wrong: even a day was refused somewhere.
            self._chunk = before
            raise
        return [row for rows in found for row in rows]

    async def _halving(self, users: str, start: datetime, end: datetime) -> list[Any]:
        """One chunk; where it is refused as too long, its halves, and theirs."""
        length = end - start
        if length <= self._chunk:
            try:
                found = await self._events(users, start, end)
            except BadItem:
                if length / 2 < SHORTEST_CHUNK:
                    raise
            else:
                return found
        middle = start + length / 2
        first = await self._halving(users, start, middle)
        # The first half worked, so longer windows are not tried again.
        self._chunk = min(self._chunk, length / 2)
        return first + await self._halving(users, middle, end)

    async def _events(self, users: str, start: datetime, end: datetime) -> list[Any]:
        params = {
            "from": welkin_time(start),
            "to": welkin_time(end),
            "participantIds": users,
            "includeCancelled": "true",
            SORT: "createdAt,asc",
        }
        return await self._all(self._events_path, "events", params, _spring)

    async def rows(
        self, path: str, kind: str, params: Mapping[str, str] | None = None
    ) -> list[Any]:
        """Rows of a list with a `metaInfo` envelope."""
        return await self._all(path, kind, params or {}, _meta)

    async def _all(
        self, path: str, kind: str, params: Mapping[str, str], read: "Reading"
    ) -> list[Any]:
        sent = {"size": str(PAGE), **params}
        if SORT not in sent:
            return await self._scan(path, kind, sent, read)
        if self._sorts:
            try:
                return await self._scan(path, kind, sent, read)
            except BadItem as refused:
                # Perhaps only because of the order, which is a help and no need.
                plain = {key: value for key, value in sent.items() if key != SORT}
                try:
                    found = await self._scan(path, kind, plain, read)
                except BadItem:
                    raise refused from None
                self._sorts = False
                return found
        del sent[SORT]
        return await self._scan(path, kind, sent, read)

    async def _scan(
        self, path: str, kind: str, params: Mapping[str, str], read: "Reading"
    ) -> list[Any]:
        """Offset pages over a changing set repeat and skip rows: count, and read again."""
        before: set[str] = set()
        stable = 0
        for _ in range(RESCANS):
            rows: dict[str, Any] = {}
            totals: set[int] = set()
            number = 0
            while True:
                sent = {**params, "page": str(number)}
                answer = await self._call(f"{kind}.list", "GET", path, params=sent)
                content, total, last = read(answer.json, number)
                if last is None:
                    # The envelope does not say: a full page may have a successor.
                    last = len(content) < int(params["size"])
                for position, row in enumerate(content):
                    key = row.get("id") if isinstance(row, Mapping) else None
                    rows[str(key or f"{number}:{position}")] = row
                totals.add(total)
                if last or not content:
                    break
                number += 1
            if len(rows) >= max(totals):
                return list(rows.values())
            stable = stable + 1 if rows.keys() == before else 1
            before = set(rows)
        if read is _meta and before and stable == RESCANS:
            # The same rows every time: not the pages are wrong but the count (rows may be hidden
            # from us). Events have no such leave, since much is concluded from their absence.
            return list(rows.values())
        raise TransientError(WelkinCode.UNSTABLE_PAGES)


class Reading(Protocol):
    """From an envelope to its rows, the number of all rows, and whether the page is the last.

    What the envelope does not say is 0 and None.
    """

    def __call__(self, body: Any, number: int) -> tuple[list[Any], int, bool | None]:
        """Raises `TransientError` for what is no such envelope."""
        ...


def _spring(body: Any, number: int) -> tuple[list[Any], int, bool | None]:
    page = body if isinstance(body, Mapping) else {}
    content = page.get("content")
    if not isinstance(content, list) or page.get("number", number) != number:
        raise TransientError(WelkinCode.UNREADABLE_PAGE)
    return content, _count(page.get("totalElements")), _flag(page.get("last"))


def _meta(body: Any, number: int) -> tuple[list[Any], int, bool | None]:
    page = body if isinstance(body, Mapping) else {}
    data, meta = page.get("data"), page.get("metaInfo")
    meta = meta if isinstance(meta, Mapping) else {}
    if not isinstance(data, list) or meta.get("page", number) != number:
        raise TransientError(WelkinCode.UNREADABLE_PAGE)
    return data, _count(meta.get("totalElements")), _flag(meta.get("lastPage"))


def _count(value: Any) -> int:
    """A number of rows; 0 where none was sent."""
    return value if isinstance(value, int) else 0


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
