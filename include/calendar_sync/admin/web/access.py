"""Who asks, and what they may do. `security.py` answers with Airflow's auth manager."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from starlette.requests import Request


class Right(StrEnum):
    """What a person may do here."""

    VIEW = "view"
    CHANGE = "change"
    CONNECT = "connect"


@dataclass(frozen=True)
class Viewer:
    """The person (or program) behind a request.

    `by_token` tells a request with a bearer token of its own from one whose cookie the browser
    sends along by itself: only the latter can be forged by another site. `addresses` are the e-mail
    addresses that the auth manager vouches for, in lower case.
    """

    id: str
    name: str
    rights: frozenset[Right]
    by_token: bool
    addresses: frozenset[str] = frozenset()

    def may(self, right: Right) -> bool:
        """Has the right."""
        return right in self.rights


class NotSignedIn(Exception):
    """The request has no valid session."""


class Access(Protocol):
    """Airflow, as far as the pages need it."""

    async def viewer(self, request: Request) -> Viewer:
        """Who asks.

        Raises:
            NotSignedIn: Airflow does not know the user.
        """
        ...

    def secret(self) -> bytes:
        """What tokens against forged requests are signed with, the same in every API server."""
        ...

    def origins(self) -> frozenset[str]:
        """Origins under which people reach Airflow, besides the one a request names itself."""
        ...
