"""Who may call Welkin: the token endpoint, its limit, expiry, and the request rate.

A token is a JWT of one hour whose lifetime only its ``exp`` tells.
"""

from __future__ import annotations

import base64
import json
import random
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.service import Call, Reply
from calendar_sync_sandbox.welkin.errors import WelkinError

if TYPE_CHECKING:
    from calendar_sync_sandbox.welkin.world import WelkinWorld

LIFETIME = timedelta(hours=1)
TOKEN_WINDOW = timedelta(minutes=5)
TOKEN_REQUESTS = 100
BLOCK = timedelta(minutes=5)


class Access:
    """Tokens given to the one API client, and the counts behind its limits."""

    def __init__(self, world: WelkinWorld, tenant: str, secret: str) -> None:
        """Start with no token."""
        self.world = world
        self.tenant = tenant
        self.secret = secret
        self.tokens: dict[str, datetime] = {}
        self.blocked_until: datetime | None = None
        # Of its own, so that the ids in the world do not depend on how many requests there are.
        self._dice = random.Random(f"access-{world.client_id}")  # noqa: S311 - not secret
        self._asked: deque[datetime] = deque()
        self._calls: deque[datetime] = deque()

    def token(self, call: Call) -> Reply:
        """Answer a token request.

        Raises:
            WelkinError: 429 while blocked, 401 for wrong names or secrets.
        """
        now = self.world.clock.now()
        while self._asked and self._asked[0] <= now - TOKEN_WINDOW:
            self._asked.popleft()
        if self.blocked_until is not None and now < self.blocked_until:
            raise WelkinError(429, "API_CLIENT_BLOCKED", "API client is blocked", "AUTH")
        self._asked.append(now)
        if len(self._asked) > TOKEN_REQUESTS:
            self.blocked_until = now + BLOCK
            self._asked.clear()
            raise WelkinError(429, "API_CLIENT_BLOCKED", "API client is blocked", "AUTH")
        try:
            sent = json.loads(call.body)
        except ValueError:
            sent = None
        known = (
            call.params["tenant"] == self.tenant
            and call.params["client"] == self.world.client_name
            and isinstance(sent, dict)
            and sent.get("secret") == self.secret
        )
        if not known:
            raise WelkinError(401, "NOT_AUTHORIZED", "Wrong API client or secret", "AUTH")
        token = self._jwt(now)
        self.tokens[token] = now + LIFETIME
        body = {"clientName": self.world.client_name, "token": token, "enabled": True}
        return Reply(200, body)

    def check(self, call: Call) -> None:
        """Let a call pass, or refuse it.

        Raises:
            WelkinError: 429 above the rate, 401 for a token that is old or unknown.
        """
        self._check_rate()
        expires = self.tokens.get(call.bearer)
        if expires is not None and expires > self.world.clock.now():
            return
        # An old token is called either expired or no JWT; both were seen.
        if expires is not None and self._dice.random() < 0.5:
            raise WelkinError(401, "TOKEN_EXPIRED", "Jwt token has expired", "AUTH")
        raise WelkinError(401)

    def identify(self, call: Call) -> str | None:
        """Name the client of a call."""
        return self.world.client_name if call.bearer in self.tokens else None

    def expire(self, call: Call) -> None:
        """Make the token of a call old."""
        if call.bearer in self.tokens:
            self.tokens[call.bearer] = self.world.clock.now()

    def expire_all(self) -> None:
        """Make every token old."""
        now = self.world.clock.now()
        self.tokens = dict.fromkeys(self.tokens, now)

    def _check_rate(self) -> None:
        limit = self.world.rate_limit
        if limit is None:
            return
        now = self.world.clock.now()
        while self._calls and self._calls[0] <= now - timedelta(seconds=1):
            self._calls.popleft()
        if len(self._calls) >= limit:
            refused = WelkinError(429)
            if self.world.retry_after is not None:
                refused.reply.headers["retry-after"] = self.world.retry_after
            raise refused
        self._calls.append(now)

    def _jwt(self, now: datetime) -> str:
        issued = int(now.timestamp())
        claims = {
            "sub": self.world.client_id,
            "cognito:username": self.world.client_name,
            "custom:type": "API_CLIENT",
            "custom:id": self.world.client_id,
            "token_use": "id",
            "jti": f"{self._dice.getrandbits(128):032x}",
            "auth_time": issued,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
        }
        head = {"kid": "sandbox", "alg": "RS256"}
        # The signature cannot be verified without Cognito's key, so random bytes do.
        seal = self._dice.randbytes(256)
        return ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (json.dumps(head).encode(), json.dumps(claims).encode(), seal)
        )
