"""What keeps notices from arriving, on our side of the address."""

from calendar_sync.core.codes.base import Code, Whose


class PushCode(Code):
    """What a look at the receiver's address, and at open channels, shows."""

    ADDRESS_OTHER = (
        "push_address_other", "something else than the receiver answers at its address",
        "check the path in `push.address` and in the reverse proxy", Whose.SYNC,
    )  # fmt: skip
    ADDRESS_UNREACHABLE = (
        "push_address_unreachable", "the address of the receiver cannot be reached from here",
        "is `calendar-sync receive` running, and does the reverse proxy pass requests on? Once a "
        "notice has arrived, this is no longer tested", Whose.SYNC,
    )  # fmt: skip
    UNVERIFIED = (
        "push_unverified", "channels are open, but no notice has arrived",
        "is the address reachable from the internet?", Whose.SYNC,
    )  # fmt: skip
