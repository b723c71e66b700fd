"""What goes wrong on the way to a server, whichever it is."""

from calendar_sync.core.codes.base import HANDLED, READ_AGAIN, RETRIED, Code, Whose

_BROKEN = (
    f"{RETRIED}. If this continues, check for a proxy or firewall in between",
    Whose.NETWORK,
)


class NetworkCode(Code):
    """How a request failed, before the meaning of an answer was looked at."""

    ANSWER_TOO_LARGE = (
        "answer_too_large", "the service sends more data than a calendar can hold",
        "check it there", Whose.SERVICE,
    )  # fmt: skip
    CONNECTION_LOST = ("connection_lost", "the connection was lost", *_BROKEN)
    EMPTY_ANSWER = ("empty_answer", "the answer was empty", *_BROKEN)
    NO_CONNECTION = (
        "no_connection", "the server cannot be reached",
        f"check the network, proxy or firewall, and the host of the connection; {RETRIED}",
        Whose.NETWORK,
        "the server cannot be reached: check the base URL (host) of the connection, and the "
        "network",
    )  # fmt: skip
    REDIRECTED = (
        "redirected", "the host of the connection redirects to another address", "correct it",
        Whose.SYNC,
    )  # fmt: skip
    TIMEOUT = (
        "timeout", "the server did not answer in time",
        f"{RETRIED}. If this continues, check the network and the status page of the service",
        Whose.NETWORK,
    )  # fmt: skip
    UNREADABLE_ANSWER = ("unreadable_answer", "the answer is not that of the service", *_BROKEN)
    UNTRUSTED_CERTIFICATE = (
        "untrusted_certificate", "the server's certificate is not trusted",
        "set `verify` of the connection to the CA bundle", Whose.SYNC,
        "the server's certificate is not signed by a trusted authority: set `verify` in the "
        "extra of the connection to a CA bundle",
    )  # fmt: skip
    # What an error is called that says no more.
    CURSOR_EXPIRED = (
        "cursor_expired", "the position in the list of changes has expired", READ_AGAIN,
        Whose.SERVICE,
    )  # fmt: skip
    DUPLICATE = (
        "duplicate", "it already exists", "the next sync looks for it", Whose.SERVICE,
    )  # fmt: skip
    NOT_FOUND = ("not_found", "it no longer exists", HANDLED, Whose.SERVICE)
    PRECONDITION_FAILED = (
        "precondition_failed", "it was changed in the meantime", HANDLED, Whose.SERVICE,
    )  # fmt: skip
    RATE_LIMITED = ("rate_limited", "the service asks for a pause", RETRIED, Whose.SERVICE)
    TOKEN_REJECTED = (
        "token_rejected", "the access token was rejected", "the sync gets a new one",
        Whose.SERVICE,
    )  # fmt: skip
    UNAVAILABLE = (
        "unavailable", "the service did not answer as expected", RETRIED, Whose.SERVICE,
    )  # fmt: skip
