"""Counts in texts."""


def plural(count: int, one: str, many: str = "") -> str:
    """`1 user`, `2 users`, `10,000 people`; `many` where an s is not enough."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
