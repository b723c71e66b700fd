"""The mapping beside a directory."""

from dataclasses import replace

from calendar_sync.config.mapping.doubts import doubts
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts, MappedUser, Platform

M = Platform.MICROSOFT
ID = "9f1d2c3b-0000-4000-8000-0123456789ab"
DANA = DirectoryAccount("dana@example.org", ("d.hale@example.org",), ID)
AWAY = DirectoryAccount("away@example.org", unusable="disabled")
ACCOUNTS = DirectoryAccounts([DANA, AWAY])


def seen(*rows: MappedUser) -> list[tuple[str, str]]:
    return [(each.user_id, each.code) for each in doubts(rows, M, ACCOUNTS)]


def test_rows_that_fit_raise_no_doubt() -> None:
    assert seen(MappedUser("u1", M, ID)) == []
    assert seen(MappedUser("u1", M, DANA.address)) == []
    assert seen(MappedUser("u1", Platform.GOOGLE, "nobody@example.org")) == []


def test_one_mailbox_under_two_names_is_one() -> None:
    found = doubts([MappedUser("u2", M, ID), MappedUser("u1", M, DANA.address)], M, ACCOUNTS)
    assert [(each.user_id, each.account, each.code) for each in found] == [("u2", ID, "shared")]
    assert "dana@example.org of u1" in found[0].advice
    disabled = replace(MappedUser("u2", M, "d.hale@example.org"), enabled=False)
    assert seen(MappedUser("u1", M, ID), disabled) == [("u2", "shared")]


def test_what_will_not_work_is_named() -> None:
    rows = [
        MappedUser("u1", M, "nobody@example.org"),
        MappedUser("u2", M, "away@example.org"),
        MappedUser("u3", M, "d.hale@example.org"),
    ]
    assert seen(*rows) == [("u1", "unknown"), ("u2", "disabled"), ("u3", "alias")]
    assert seen(*(replace(row, enabled=False) for row in rows)) == []
