"""The closed set of errors, grouped by the reaction that they need.

An error carries a `code` from a short vocabulary and never any text of a remote answer: bodies may
hold patient data. `detail` is written by our own code (an opaque id, a staff account, a status).
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
    """The other side or the network failed; the same request may work in a moment.

    `exhausted` once it has been repeated as often as makes sense: nobody else repeats it.
    """

    code = "unavailable"
    exhausted = False


class RateLimited(TransientError):
    """The other side asks for a pause.

    `retry_after` is in seconds, None where the server named none. `tenant_wide` tells a limit of
    the whole project or tenant from one user's. `overloaded`: it is the server that has too much to
    do, with this request or with all, and no limit of ours.
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
    """A write was sent and its answer lost: look before sending it again."""

    code = "outcome_unknown"


class NotShownYet(TransientError):
    """Our own write of just now is most likely there, but reads lag: look again in a minute."""

    code = "not_shown_yet"


# --- read again, then decide ------------------------------------------------------------------


class CursorExpired(SyncError):
    """The stored cursor is no longer valid: a full read is needed."""

    code = "cursor_expired"


class PreconditionFailed(SyncError):
    """The item changed since it was read (If-Match)."""

    code = "precondition_failed"


class Duplicate(SyncError):
    """An item with this id exists already, possibly as a deleted one."""

    code = "duplicate"


class NotFound(SyncError):
    """The item is not there (any more).

    `certain` where the other side says that it was there and has been deleted (410).
    """

    code = "not_found"

    def __init__(self, code: str | None = None, *, detail: str = "", certain: bool = False) -> None:
        super().__init__(code, detail=detail)
        self.certain = certain


class StillThere(TransientError):
    """A removal was answered "not found", and a look by id shows the item all the same."""

    code = "still_there"


# --- one item, one user, everybody ------------------------------------------------------------


class BadItem(SyncError):
    """The other side refuses this one item; it is parked after some tries."""

    code = "bad_item"


class UserUnavailable(SyncError):
    """This user's account cannot be used now; nobody else is concerned."""

    code = "user_unavailable"


class TenantMisconfigured(SyncError):
    """Credentials, consent or rights are wrong for everybody: nothing may be written."""

    code = "tenant_misconfigured"


class TokenRejected(SyncError):
    """The access token is not accepted (any more): refresh it once."""

    code = "token_rejected"


# --- this process must stop -------------------------------------------------------------------


class LeaseLost(SyncError):
    """Another worker has taken over this user: stop before the next write."""

    code = "lease_lost"


class LeaseHeld(SyncError):
    """Another worker is busy with this user; not a failure."""

    code = "lease_held"


class PlatformStopped(SyncError):
    """A fault of the whole platform was found meanwhile: nothing is written, nobody is blamed."""

    code = "platform_stopped"


class ConfigurationError(SyncError):
    """Settings, mapping or a connection are missing or wrong; says what to do.

    `mistakes` are all of a file's, each with its place; `detail` holds as many as fit a line.
    """

    code = "configuration"

    def __init__(
        self, code: str | None = None, *, detail: str = "", mistakes: Sequence[str] = ()
    ) -> None:
        super().__init__(code, detail=detail)
        self.mistakes = tuple(mistakes)


class UsersFailed(SyncError):
    """Some users of a run failed; names opaque ids and accounts only.

    `words` says the same for people: who, what is wrong, whose it is, what to do.
    """

    code = "users_failed"

    def __init__(self, code: str | None = None, *, detail: str = "", words: str = "") -> None:
        super().__init__(code, detail=detail)
        self.words = words or detail


class UnexpectedError(SyncError):
    """A bug: the type of the exception and the place, without its text."""

    code = "unexpected"
