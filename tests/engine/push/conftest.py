"""A receiver in this process, and what a sender would send to it."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from calendar_sync.core.identity import push_key
from calendar_sync.core.model import Platform
from calendar_sync.core.model.push import ChannelState
from calendar_sync.push.keys import channel_token
from calendar_sync.push.receiver import create
from calendar_sync.state import Database, Store
from calendar_sync.state.push import Channel
from tests.harness import HMAC_KEY, VirtualClock, fresh

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
KEY = push_key(HMAC_KEY)
ADDRESS = "https://sync.example.org/push"


def channel(number: int = 1, platform: Platform = Platform.GOOGLE, **more: Any) -> Channel:
    values: dict[str, Any] = {
        "id": f"{number:032x}", "platform": platform.value, "user_id": f"u{number}",
        "account": f"user{number}@example.org", "calendar": "primary", "address": ADDRESS,
        "state": ChannelState.OPEN, "opened_at": NOW, "remote_id": f"r{number}",
        "expires_at": NOW + timedelta(days=7), "next_at": NOW + timedelta(days=5),
    }  # fmt: skip
    return Channel(**(values | more))


def google(which: Channel, token: str | None = None, state: str = "exists") -> dict[str, str]:
    """The headers of a message of Google's."""
    return {
        "X-Goog-Channel-ID": which.id,
        "X-Goog-Channel-Token": channel_token(KEY, which.id) if token is None else token,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-ID": which.remote_id,
        "X-Goog-Message-Number": "7",
    }


def microsoft(*channels: Channel, secret: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of a notice of Graph's."""
    rows = [
        {
            "subscriptionId": each.remote_id,
            "clientState": f"{each.id}.{secret or channel_token(KEY, each.id)}",
            "changeType": "updated",
            "resource": f"Users/{each.user_id}/Events/AAMk",
            "resourceData": {"id": "AAMk", "@odata.etag": 'W/"x"'},
            "tenantId": "t",
            **more,
        }
        for each in channels
    ]
    return {"value": rows}


class Sender:
    """Sends to a receiver in this process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = Store(database, HMAC_KEY).push
        self.clock = VirtualClock(NOW)
        self.restart()

    def close(self) -> None:
        self.app.state.receiver.close()

    def restart(self) -> None:
        """Another process: what the first one had in memory is gone."""
        self.app = create(self.database, KEY, clock=self.clock, seconds=self.clock.monotonic)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.all([(path, what)])[0]

    def all(self, requests: list[tuple[str, dict[str, Any]]]) -> list[httpx.Response]:
        """All of them at once."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
                return list(
                    await asyncio.gather(
                        *(
                            client.request(what.pop("method", "POST"), path, **what)
                            for path, what in ((path, dict(what)) for path, what in requests)
                        )
                    )
                )

        return asyncio.run(send())

    def of(self, which: Channel) -> Channel:
        """The row as it stands."""
        [found] = [
            each for each in self.store.channels(Platform(which.platform)) if each.id == which.id
        ]
        return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The state database, of both kinds."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/state.db"
    else:
        url = request.getfixturevalue("new_postgres_url")
    made = fresh(url)
    yield made
    made.close()


@pytest.fixture
def sender(database: Database) -> Iterator[Sender]:
    made = Sender(database)
    yield made
    made.close()


@pytest.fixture
def opened(sender: Sender) -> Callable[..., Channel]:
    """Stores an open channel."""

    def add(number: int = 1, platform: Platform = Platform.GOOGLE, **more: Any) -> Channel:
        made = channel(number, platform, **more)
        sender.store.add(made)
        return made

    return add
