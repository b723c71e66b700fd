"""All errors that this package raises, grouped by how to react to them.

An error has a code (`core/codes` says what each means), and never contains text of a remote answer:
it may hold patient data. `detail` is written by our own code (an opaque id, a staff account, a
status).
"""

from collections.abc import Sequence

from calendar_sync.core.codes import Code, NetworkCode, SyncCode


class SyncError(Exception):
    """Base of every error that this package raises on purpose."""

    code: Code = SyncCode.SYNC_ERROR

    def __init__(self, code: Code | None = None, *, detail: str = "") -> None:
        self.code = code or type(self).code
        self.detail = detail
        super().__init__(f"{self.code}: {detail}" if detail else self.code)

    @property
    def remedy(self) -> str:
        """What to do about a connection that failed with this.

        A detail of one word (a status, a kind of request) is left out: it does not help people.
        """
        said = self.code.in_test or self.code.in_words
        return f"{self.detail}; {said}" if " " in self.detail else said


# --- wait and try again -----------------------------------------------------------------------


class TransientError(SyncError):
    """The other side or the network failed; the same request may work later.

    `exhausted`: the request was repeated often enough and is not repeated any more.
    """

    code: Code = NetworkCode.UNAVAILABLE
    exhausted = False


class RateLimited(TransientError):
    """The other side asks for a pause.

    `retry_after` is in seconds, None if the server gave no time. `tenant_wide`: the limit is that
    of the whole project or tenant, not of one user. `overloaded`: the server is overloaded; no
    limit of ours was exceeded.
    """

    code: Code = NetworkCode.RATE_LIMITED

    def __init__(
        self,
        code: Code | None = None,
        *,
        detail: str = "",
        retry_after: float | None = None,
        tenant_wide: bool = False,
        overloaded: bool = False,
    ) -> None:
        super().__init__(code, detail=detail)
        self.retry_after = retry_after
        self.tenant_wide = tenant_wide
        self.overloaded = overloaded


class OutcomeUnknown(TransientError):
    """A write was sent, but its answer was lost. Check before sending it again."""

    code: Code = SyncCode.OUTCOME_UNKNOWN


class NotShownYet(TransientError):
    """Our own recent write does not show yet, since reads lag. Check again in a minute."""

    code: Code = SyncCode.NOT_SHOWN_YET


# --- read again, then decide ------------------------------------------------------------------


class CursorExpired(SyncError):
    """The stored cursor is no longer valid. A full read is needed."""

    code: Code = NetworkCode.CURSOR_EXPIRED


class PreconditionFailed(SyncError):
    """The item changed since it was read (If-Match)."""

    code: Code = NetworkCode.PRECONDITION_FAILED


class Duplicate(SyncError):
    """An item with this id already exists, possibly as a deleted one."""

    code: Code = NetworkCode.DUPLICATE


class NotFound(SyncError):
    """The item does not exist.

    `certain`: the other side says that it existed and was deleted (410).
    """

    code: Code = NetworkCode.NOT_FOUND

    def __init__(
        self, code: Code | None = None, *, detail: str = "", certain: bool = False
    ) -> None:
        super().__init__(code, detail=detail)
        self.certain = certain


class StillThere(TransientError):
    """A deletion was answered with "not found", but the item can still be read by its id."""

    code: Code = SyncCode.STILL_THERE


# --- one item, one user, everybody ------------------------------------------------------------


class BadItem(SyncError):
    """The other side rejects this item. It is parked after three tries."""

    code: Code = SyncCode.BAD_ITEM


class UserUnavailable(SyncError):
    """This user's account cannot be used. Other users are not affected."""

    code: Code = SyncCode.USER_UNAVAILABLE


class TenantMisconfigured(SyncError):
    """Credentials, consent or rights are wrong for all users. Nothing may be written."""

    code: Code = SyncCode.TENANT_MISCONFIGURED


class TokenRejected(SyncError):
    """The access token was rejected. Refresh it once."""

    code: Code = NetworkCode.TOKEN_REJECTED


# --- this process must stop -------------------------------------------------------------------


class LeaseLost(SyncError):
    """Another worker has taken over this user. Stop before the next write."""

    code: Code = SyncCode.LEASE_LOST


class LeaseHeld(SyncError):
    """Another worker is syncing this user. Not a failure."""

    code: Code = SyncCode.LEASE_HELD


class PlatformStopped(SyncError):
    """The whole platform has a fault. Nothing is written, and no user counts as failed."""

    code: Code = SyncCode.PLATFORM_STOPPED


class ConfigurationError(SyncError):
    """Settings, mapping or a connection are missing or wrong. `detail` says what to do.

    `mistakes` are all mistakes of a file with their places; `detail` names the first of them.
    """

    code: Code = SyncCode.CONFIGURATION

    def __init__(
        self, code: Code | None = None, *, detail: str = "", mistakes: Sequence[str] = ()
    ) -> None:
        super().__init__(code, detail=detail)
        self.mistakes = tuple(mistakes)

    @property
    def remedy(self) -> str:
        """The detail, which says it already."""
        return self.detail or super().remedy


class UsersFailed(SyncError):
    """Some users of a run failed. Names opaque ids and accounts only.

    `words` is the message for people: who failed, why, and what to do.
    """

    code: Code = SyncCode.USERS_FAILED

    def __init__(self, code: Code | None = None, *, detail: str = "", words: str = "") -> None:
        super().__init__(code, detail=detail)
        self.words = words or detail


class UnexpectedError(SyncError):
    """A bug: type and place of the exception, without its message."""

    code: Code = SyncCode.UNEXPECTED
