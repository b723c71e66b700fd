"""All errors that this package raises, grouped by how to react to them.

An error has a `code` and never contains text of a remote answer: it may hold patient data. `detail`
is written by our own code (an opaque id, a staff account, a status).
"""

from collections.abc import Sequence


class SyncError(Exception):
    """Base of every error that this package raises on purpose."""

    code = "sync_error"

    def __init__(self, code: str | None = None, *, detail: str = "") -> None:
        self.code = code or type(self).code
        self.detail = detail
        super().__init__(f"{self.code}: {detail}" if detail else self.code)


# --- wait and try again -----------------------------------------------------------------------


class TransientError(SyncError):
    """The other side or the network failed; the same request may work later.

    `exhausted`: the request was repeated often enough and is not repeated any more.
    """

    code = "unavailable"
    exhausted = False


class RateLimited(TransientError):
    """The other side asks for a pause.

    `retry_after` is in seconds, None if the server gave no time. `tenant_wide`: the limit is that
    of the whole project or tenant, not of one user. `overloaded`: the server is overloaded; no
    limit of ours was exceeded.
    """

    code = "rate_limited"

    def __init__(
        self,
        code: str | None = None,
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

    code = "outcome_unknown"


class NotShownYet(TransientError):
    """Our own recent write does not show yet, since reads lag. Check again in a minute."""

    code = "not_shown_yet"


# --- read again, then decide ------------------------------------------------------------------


class CursorExpired(SyncError):
    """The stored cursor is no longer valid. A full read is needed."""

    code = "cursor_expired"


class PreconditionFailed(SyncError):
    """The item changed since it was read (If-Match)."""

    code = "precondition_failed"


class Duplicate(SyncError):
    """An item with this id already exists, possibly as a deleted one."""

    code = "duplicate"


class NotFound(SyncError):
    """The item does not exist.

    `certain`: the other side says that it existed and was deleted (410).
    """

    code = "not_found"

    def __init__(self, code: str | None = None, *, detail: str = "", certain: bool = False) -> None:
        super().__init__(code, detail=detail)
        self.certain = certain


class StillThere(TransientError):
    """A deletion was answered with "not found", but the item can still be read by its id."""

    code = "still_there"


# --- one item, one user, everybody ------------------------------------------------------------


class BadItem(SyncError):
    """The other side rejects this item. It is parked after three tries."""

    code = "bad_item"


class UserUnavailable(SyncError):
    """This user's account cannot be used. Other users are not affected."""

    code = "user_unavailable"


class TenantMisconfigured(SyncError):
    """Credentials, consent or rights are wrong for all users. Nothing may be written."""

    code = "tenant_misconfigured"


class TokenRejected(SyncError):
    """The access token was rejected. Refresh it once."""

    code = "token_rejected"


# --- this process must stop -------------------------------------------------------------------


class LeaseLost(SyncError):
    """Another worker has taken over this user. Stop before the next write."""

    code = "lease_lost"


class LeaseHeld(SyncError):
    """Another worker is syncing this user. Not a failure."""

    code = "lease_held"


class PlatformStopped(SyncError):
    """The whole platform has a fault. Nothing is written, and no user counts as failed."""

    code = "platform_stopped"


class ConfigurationError(SyncError):
    """Settings, mapping or a connection are missing or wrong. `detail` says what to do.

    `mistakes` are all mistakes of a file with their places; `detail` names the first of them.
    """

    code = "configuration"

    def __init__(
        self, code: str | None = None, *, detail: str = "", mistakes: Sequence[str] = ()
    ) -> None:
        super().__init__(code, detail=detail)
        self.mistakes = tuple(mistakes)


class UsersFailed(SyncError):
    """Some users of a run failed. Names opaque ids and accounts only.

    `words` is the message for people: who failed, why, and what to do.
    """

    code = "users_failed"

    def __init__(self, code: str | None = None, *, detail: str = "", words: str = "") -> None:
        super().__init__(code, detail=detail)
        self.words = words or detail


class UnexpectedError(SyncError):
    """A bug: type and place of the exception, without its message."""

    code = "unexpected"
