"""Who is proposed for which account, and who is not and why."""

import pytest

from calendar_sync.core.model import (
    DirectoryAccount,
    DirectoryAccounts,
    MappedUser,
    Platform,
    WelkinUser,
)
from calendar_sync.operations.mapping.proposals import names_of, propose

G, M = Platform.GOOGLE, Platform.MICROSOFT
ID = "9f1d2c3b-0000-4000-8000-0123456789ab"


def user(user_id: str, email: str, *, active: bool = True) -> WelkinUser:
    return WelkinUser(user_id, email, None, active)


def found(
    staff: list[WelkinUser],
    accounts: list[DirectoryAccount],
    rows: list[MappedUser] | None = None,
    platform: Platform = G,
) -> dict[str, tuple[str, str]]:
    answers = propose(staff, rows or [], platform, DirectoryAccounts(accounts))
    return {each.user_id: (each.account, each.reason) for each in answers}


DANA = DirectoryAccount("dana@example.org", ("d.hale@example.org",))


@pytest.mark.parametrize(
    "email",
    ["dana@example.org", "Dana@Example.ORG", "dana+welkin@example.org", "D.Hale+x+y@example.org"],
)
def test_an_account_is_found_by_any_of_its_addresses(email: str) -> None:
    assert found([user("u1", email)], [DANA]) == {"u1": ("dana@example.org", "")}


@pytest.mark.parametrize("email", ["dana@example.com", "dan@example.org", "+dana@example.org"])
def test_nothing_but_the_address_counts(email: str) -> None:
    assert found([user("u1", email)], [DANA]) == {"u1": ("", "no such account")}


def test_a_name_before_the_plus_is_needed() -> None:
    assert names_of("+x@example.org") == ("+x@example.org",)
    assert names_of("a+b@example.org") == ("a+b@example.org", "a@example.org")


def test_who_is_mapped_or_has_left_is_not_asked_about() -> None:
    staff = [user("u1", "dana@example.org"), user("u2", "r@example.org", active=False)]
    mapped = MappedUser("u1", G, "other@example.org", enabled=False)
    accounts = [DANA, DirectoryAccount("r@example.org")]
    assert found(staff, accounts, [mapped]) == {}
    assert found(staff, accounts, [mapped], M) == {"u1": ("dana@example.org", "")}


def test_two_users_of_one_account_are_both_doubtful() -> None:
    staff = [user("u1", "dana@example.org"), user("u2", "dana+second@example.org")]
    answers = found(staff, [DANA])
    assert answers["u1"] == ("dana@example.org", "ambiguous: u2 may own it, too")
    assert answers["u2"] == ("dana@example.org", "ambiguous: u1 may own it, too")


def test_two_accounts_for_one_user_are_both_named() -> None:
    plus = DirectoryAccount("dana+welkin@example.org")
    answers = found([user("u1", "dana+welkin@example.org")], [DANA, plus])
    assert answers == {"u1": ("", "ambiguous: dana+welkin@example.org or dana@example.org")}
    # In a tenant of Microsoft an address of one may be the principal name of another.
    other = DirectoryAccount("ruben@example.org", ("dana@example.org",))
    answers = found([user("u1", "dana@example.org")], [DANA, other])
    assert answers == {"u1": ("", "ambiguous: dana@example.org or ruben@example.org")}


@pytest.mark.parametrize("name", ["dana@example.org", "d.hale@example.org", ID])
def test_another_persons_account_is_not_proposed_under_any_of_its_names(name: str) -> None:
    account = DirectoryAccount("dana@example.org", ("d.hale@example.org",), ID)
    rows = [MappedUser("u9", M, name)]
    assert found([user("u1", "dana@example.org")], [account], rows, M) == {
        "u1": ("dana@example.org", "already mapped to u9")
    }


@pytest.mark.parametrize("reason", ["suspended", "archived", "disabled"])
def test_an_account_that_cannot_be_used_is_listed_with_its_reason(reason: str) -> None:
    account = DirectoryAccount("dana@example.org", unusable=reason)
    assert found([user("u1", "dana@example.org")], [account]) == {
        "u1": ("dana@example.org", reason)
    }


def test_what_was_found_out_about_single_addresses_is_said() -> None:
    staff = [user("u1", "a+x@example.org"), user("u2", "b@example.org"), user("u3", "")]
    reasons = {"a+x@example.org": "unknown or suspended", "a@example.org": "no calendar"}
    answers = propose(staff, [], G, DirectoryAccounts([]), reasons)
    assert [each.reason for each in answers] == [
        "no calendar", "no such account", "no e-mail address in Welkin",
    ]  # fmt: skip
