"""calendarView/delta: a window read whole, then what changed since.

What the API leaves open is decided by a seeded number of each change, while the world is
unfriendly. https://learn.microsoft.com/graph/api/event-delta
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_option
from calendar_sync_sandbox.microsoft.preferences import Preferences, prefers
from calendar_sync_sandbox.microsoft.times import Json, stamp7
from calendar_sync_sandbox.microsoft.views import quoted, read_window
from calendar_sync_sandbox.microsoft.wire import event_json, occurrence_json
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.microsoft.store import Folder, Instance, Mailbox, Version
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

DEFAULT_PAGE = 50
LONGEST = timedelta(days=1825)
FORBIDDEN = ("$select", "$filter", "$orderby", "$search", "$top", "$skip")
Group = list[Json]


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a delta, and the calendar that it is about."""

    mailbox: Mailbox
    folder: Folder
    low: datetime
    high: datetime


class Delta:
    """The handler."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world."""
        self.world = world
        self._gone = 0

    def answer(self, call: Call, mailbox: Mailbox, folder: Folder, horizon: int) -> Reply:
        """Answer one page.

        Raises:
            GraphError: 400 for options that a delta has not, 410 for a token that ended.
        """
        self._check(call)
        token = call.one("$skiptoken") or call.one("$deltatoken")
        offset, since, before = 0, -1, -1
        if not token:
            low, high = read_window(call)
            if high - low > LONGEST:
                raise GraphError(
                    400, "ErrorCalendarViewRangeTooBig", "The window is longer than 1825 days."
                )
        else:
            held = self._opened(call, token, mailbox, folder)
            low, high = (datetime.fromisoformat(held[k]) for k in ("lo", "hi"))
            since, before = held["s"], held.get("p", -1)
            if "o" in held:
                offset, horizon = held["o"], held["h"]
        window = Window(mailbox, folder, low, high)
        horizon = max(horizon, since)
        how = prefers(call)
        start = before if self.world.replay and since >= 0 else since
        groups = (
            self._everything(window, horizon, how)
            if start < 0
            else self._changes(window, start, horizon, how)
        )
        page, done = _page(groups, offset, how.page or DEFAULT_PAGE)
        keep = {
            "k": "delta", "m": mailbox.guid, "c": folder.number, "g": folder.generation,
            "lo": low.isoformat(), "hi": high.isoformat(),
        }  # fmt: skip
        root = self.world.directory.graph_root
        body: Json = {"@odata.context": f"{root}/v1.0/$metadata#Collection(event)", "value": page}
        base = f"{root}{quoted(call.path)}"
        if done is not None:
            more = {**keep, "s": since, "p": before, "h": horizon, "o": done}
            body["@odata.nextLink"] = f"{base}?$skiptoken={seal(more)}"
        else:
            last = {**keep, "s": horizon, "p": since}
            body["@odata.deltaLink"] = f"{base}?$deltatoken={seal(last)}"
        return Reply(200, body)

    def _check(self, call: Call) -> None:
        if "$expand" in call.query:
            raise GraphError(
                500,
                "InternalServerError",
                "Value cannot be null.\r\nParameter name: type",
            )
        for name in call.query:
            if name in FORBIDDEN:
                raise GraphError(
                    400, "ErrorInvalidUrlQuery",
                    f"The following parameters are not supported with change tracking: '{name}'.",
                )  # fmt: skip
            if name not in ("startDateTime", "endDateTime", "$skiptoken", "$deltatoken"):
                raise bad_option(name)
        # The address that a 410 gives has an empty token.
        token = call.one("$skiptoken") or call.one("$deltatoken")
        if token and ("startDateTime" in call.query or "endDateTime" in call.query):
            raise bad_option("startDateTime", "is part of the token")

    def _opened(self, call: Call, token: str, mailbox: Mailbox, folder: Folder) -> dict[str, Any]:
        held = unseal(token)
        if held.get("k") != "delta" or held.get("m") != mailbox.guid:
            raise GraphError(400, "ErrorInvalidSyncStateData", "Synchronization state is invalid.")
        if held["c"] == folder.number and held["g"] == folder.generation:
            return held
        self._gone += 1
        choice = self.world.gone_location
        headers = {}
        if choice == "with" or (choice == "alternate" and self._gone % 2):
            low, high = (stamp7(datetime.fromisoformat(held[k])) for k in ("lo", "hi"))
            root = self.world.directory.graph_root
            headers["location"] = (
                f"{root}{quoted(call.path)}?startDateTime={low}&endDateTime={high}&$deltatoken="
            )
        raise GraphError(
            410,
            "SyncStateNotFound",
            f"The sync state generation is not found; generation={held['g']};"
            f"[highest={folder.generation}].",
            headers,
        )

    # A window read whole

    def _everything(self, window: Window, horizon: int, how: Preferences) -> Iterator[Group]:
        for version in window.mailbox.living(window.folder.number, horizon):
            if version.touches(window.low, window.high):
                yield self._rows(window, version, how)

    def _rows(
        self,
        window: Window,
        version: Version,
        how: Preferences,
        only: list[Instance] | None = None,
    ) -> Group:
        """Write an event, or a master with its occurrences in the window."""
        mailbox, shift = window.mailbox, self.world.shifts_days(window.mailbox)
        master = event_json(mailbox, version, how, shift_days=shift)
        if not version.is_series:
            return [master]
        alone = self.world.has_no_master(mailbox, version)
        instances = version.instances(window.low, window.high) if only is None else only
        rows = [
            event_json(mailbox, version, how, each, shift_days=shift)
            if each.change
            else occurrence_json(mailbox, version, how, each, shift_days=shift)
            for each in instances
        ]
        if alone:
            return rows
        if self._dice(window, version) % 3 == 2:
            return [*rows, master]
        return [master, *rows]

    # What changed since

    def _changes(
        self, window: Window, since: int, horizon: int, how: Preferences
    ) -> Iterator[Group]:
        mailbox = window.mailbox
        states = [mailbox.at(key, horizon) for key in mailbox.changed_since(since)]
        for now in sorted((v for v in states if v is not None), key=lambda v: v.seq):
            if now.seq <= since:
                continue
            group = self._changed(window, now, since, how)
            if group:
                yield group
                if self._dice(window, now) % 7 == 6:
                    yield group[-1:]

    def _changed(self, window: Window, now: Version, since: int, how: Preferences) -> Group:
        before = window.mailbox.at(now.key, since)
        here = now.live and now.folder == window.folder.number
        if here and now.touches(window.low, window.high):
            return self._told(window, now, before, how)
        if here:
            return self._removed(window, now, before, how)
        # Whatever happened in another calendar is not told.
        was = [
            version
            for version in window.mailbox.records[now.key]
            if (version is before or since < version.seq <= now.seq)
            and version.folder == window.folder.number
            and version.live
        ]
        return self._removed(window, now, was[-1], how) if was else []

    def _told(
        self, window: Window, now: Version, before: Version | None, how: Preferences
    ) -> Group:
        if not now.is_series or before is None or not before.is_series:
            return self._rows(window, now, how)
        same = before.fields == now.fields and before.span == now.span
        if not same or not self.world.unfriendly or self._dice(window, now) % 2:
            rows = self._rows(window, now, how)
        else:
            # Only single occurrences changed; a deleted one is never told.
            changed = [
                each
                for each in now.instances(window.low, window.high)
                if each.change != before.changed.get(each.day)
            ]
            rows = self._rows(window, now, how, changed)
        alone = self.world.has_no_master(window.mailbox, now)
        if not alone and (same or self._dice(window, now) % 5 != 4):
            return rows
        there = {each.day for each in now.instances(window.low, window.high)}
        left = [i for i in before.instances(window.low, window.high) if i.day not in there]
        return [*self._tombstones(window, now, left, how), *rows]

    def _removed(
        self, window: Window, now: Version, before: Version | None, how: Preferences
    ) -> Group:
        deleted = not now.live
        dice = self._dice(window, now)
        if deleted and self.world.lose_tombstones and (now.is_series or dice % 2):
            return []
        last = before if before is not None and before.live else now
        master: Json = {
            "id": window.mailbox.id_of(last, immutable=how.immutable),
            "@removed": {"reason": "deleted"},
        }
        alone = self.world.has_no_master(window.mailbox, last)
        rows = [] if alone else [master]
        choice = self.world.series_tombstones
        if last.is_series and (alone or choice == "all" or (choice == "seeded" and dice % 2)):
            rows += self._tombstones(window, last, last.instances(window.low, window.high), how)
        return rows

    def _tombstones(
        self, window: Window, version: Version, instances: list[Instance], how: Preferences
    ) -> Group:
        return [
            {
                "id": window.mailbox.id_of(version, each.day, immutable=how.immutable),
                "@removed": {"reason": "deleted"},
            }
            for each in instances
        ]

    def _dice(self, window: Window, version: Version) -> int:
        if not self.world.unfriendly:
            return 0
        text = f"{self.world.seed}:{window.mailbox.guid}:{version.key}:{version.seq}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest())


def _page(groups: Iterator[Group], offset: int, size: int) -> tuple[Group, int | None]:
    """Fill a page with whole groups; return it and where the next one begins, if there is one."""
    page: Group = []
    for number, group in enumerate(groups):
        if number < offset:
            continue
        if len(page) >= size or (page and len(page) + len(group) > size):
            return page, number
        page.extend(group)
    return page, None
