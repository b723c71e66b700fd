"""Access tokens, shared by all processes and encrypted at rest.

Welkin blocks a client after 100 token requests in five minutes, so a token is fetched by one
process and used by all. The claim to refresh is a row, not a transaction: none stays open while
the token is being fetched.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from calendar_sync.core.boundary import Hidden
from calendar_sync.core.clock import Clock
from calendar_sync.core.codes import SyncCode
from calendar_sync.core.errors import TransientError
from calendar_sync.state.shared import StoredToken, TokenStore

EARLY = timedelta(minutes=2)
POLL_SECONDS = 0.25
LONGEST_WAIT = 60.0

Fetch = Callable[[], Awaitable[tuple[str, datetime]]]


class TokenCache:
    """All tokens of this process; the state database holds those of everybody."""

    def __init__(self, store: TokenStore, keys: list[str], clock: Clock) -> None:
        self._store = store
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._clock = clock
        self._process = uuid.uuid4().hex
        self._memory: dict[str, tuple[str, StoredToken]] = {}
        self._one_at_a_time: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def source(self, name: str, fetch: Fetch) -> "CachedToken":
        """The token of this name; `fetch` gets a new one and says when it ends."""
        return CachedToken(self, name, fetch)

    async def get(self, name: str, fetch: Fetch) -> str:
        """A token with at least two minutes to live."""
        found = self._valid(name)
        if found is not None:
            return found
        # The claim keeps other processes out, not the other coroutines of this one.
        async with self._one_at_a_time[name]:
            return await self._wait_or_refresh(name, fetch)

    async def _wait_or_refresh(self, name: str, fetch: Fetch) -> str:
        waited = 0.0
        while True:
            found = self._valid(name)
            if found is not None:
                return found
            if self._store.claim(name, self._process, self._clock.now()):
                # Another process may have finished its refresh between the look and the claim.
                found = self._valid(name)
                if found is not None:
                    self._store.give_up(name, self._process)
                    return found
                return await self._refresh(name, fetch)
            if waited >= LONGEST_WAIT:
                raise TransientError(SyncCode.TOKEN_REFRESH_STUCK)
            await self._clock.sleep(POLL_SECONDS)
            waited += POLL_SECONDS

    def _valid(self, name: str) -> str | None:
        soon = self._clock.now() + EARLY
        held = self._memory.get(name)
        if held is not None and held[1].expires_at > soon:
            return held[0]
        stored = self._store.get(name)
        if stored is None or stored.expires_at <= soon:
            return None
        try:
            token = Hidden(self._fernet.decrypt(stored.ciphertext).decode())
        except InvalidToken:
            return None
        self._memory[name] = (token, stored)
        return token

    async def _refresh(self, name: str, fetch: Fetch) -> str:
        try:
            fetched, expires_at = await fetch()
        except BaseException:
            self._store.give_up(name, self._process)
            raise
        token = Hidden(fetched)
        stored = StoredToken(self._fernet.encrypt(token.encode()), expires_at)
        self._store.save(name, self._process, stored)
        self._memory[name] = (token, stored)
        return token

    def reject(self, name: str, token: str) -> None:
        """The server refused this token: forget it everywhere, unless it was replaced already."""
        held = self._memory.get(name)
        if held is not None and held[0] == token:
            del self._memory[name]
            self._store.forget(name, held[1].ciphertext)


class OwnTokens:
    """Tokens that are fetched for one use and kept nowhere else: what is tried is what is stored.

    A good answer to a cached token says nothing of the secret that the next one takes.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, OwnToken] = {}

    def source(self, name: str, fetch: Fetch) -> "OwnToken":
        """See `TokenCache.source`."""
        return self._tokens.setdefault(name, OwnToken(fetch))


class OwnToken:
    """One of them."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._token = ""
        self._one_at_a_time = asyncio.Lock()

    async def get(self) -> str:
        """The token, fetched when it is first asked for."""
        async with self._one_at_a_time:
            if not self._token:
                self._token, _ = await self._fetch()
            return self._token

    async def reject(self, token: str) -> None:
        """The server refused it."""
        if token == self._token:
            self._token = ""


class CachedToken:
    """One named token of a cache: what a client takes as its `TokenSource`."""

    def __init__(self, cache: TokenCache, name: str, fetch: Fetch) -> None:
        self._cache = cache
        self._name = name
        self._fetch = fetch

    async def get(self) -> str:
        """A token that is believed to be valid."""
        return await self._cache.get(self._name, self._fetch)

    async def reject(self, token: str) -> None:
        """See `TokenCache.reject`."""
        self._cache.reject(self._name, token)
