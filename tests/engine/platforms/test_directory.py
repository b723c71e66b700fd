"""Who is there: the directories of both calendar systems behind one protocol."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from calendar_sync.core.errors import SyncError, TenantMisconfigured, TransientError
from calendar_sync.core.model import DirectoryAccount, DirectoryAccounts, Platform, WelkinUser
from calendar_sync.operations.mapping.proposals import look_at
from calendar_sync.sync.runtime import Secrets
from calendar_sync_sandbox import Fault
from tests.harness import World

G, M = Platform.GOOGLE, Platform.MICROSOFT
BOSS, DANA, RUBEN = "boss@example.org", "dana@example.org", "ruben@example.org"


class Organisation(World):
    """Three accounts on each platform; the first is an administrator."""

    def __init__(self) -> None:
        super().__init__()
        for account in (BOSS, "Dana@Example.org", RUBEN):
            self.google.add_account(account)
            self.microsoft.add_account(account, "America/New_York")
        self.google.account(BOSS).admin = True
        self.changes: dict[str, Any] = {}

    def secrets(self) -> Secrets:
        made = super().secrets()
        assert made.google is not None
        return replace(made, google=replace(made.google, **self.changes))

    def guid(self, account: str) -> str:
        return str(self.microsoft.account(account).guid)

    def ask(self, platform: Platform, work: Callable[[Any], Any]) -> Any:
        return asyncio.run(self.with_services(lambda s: work(s.directories[platform])))

    def accounts(self, platform: Platform) -> DirectoryAccounts:
        found = self.ask(platform, lambda directory: directory.accounts())
        assert isinstance(found, DirectoryAccounts)
        return found

    def state_of(self, platform: Platform, account: str) -> str:
        found = self.accounts(platform).of(account)
        return "unknown" if found is None else found.unusable

    def refusal(self, platform: Platform) -> SyncError:
        with pytest.raises(SyncError) as caught:
            self.accounts(platform)
        return caught.value


@pytest.fixture
def organisation() -> Iterator[Organisation]:
    made = Organisation()
    yield made
    made.database.close()


@pytest.fixture(params=Platform, ids=lambda platform: platform.value)
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.param
    return found


def test_accounts_are_found_by_address_in_any_case(
    organisation: Organisation, platform: Platform
) -> None:
    found = organisation.accounts(platform)
    for name in (DANA, "DANA@EXAMPLE.ORG"):
        account = found.of(name)
        assert account is not None
        assert (account.address, account.unusable) == (DANA, "")
    assert found.of("nobody@example.org") is None


def test_a_long_list_is_read_to_its_end(organisation: Organisation, platform: Platform) -> None:
    for number in range(1100):
        organisation.calendars(platform).add_account(f"user{number}@example.org", "Europe/Berlin")
    found = organisation.accounts(platform)
    assert all(found.of(f"user{number}@example.org") for number in range(1100))


def test_suspended_is_not_unknown(organisation: Organisation, platform: Platform) -> None:
    organisation.calendars(platform).suspend(DANA)
    organisation.calendars(platform).delete_account(RUBEN)
    assert organisation.state_of(platform, DANA) == {G: "suspended", M: "disabled"}[platform]
    assert organisation.state_of(platform, RUBEN) == "unknown"


def test_a_list_that_does_not_move_on_ends(organisation: Organisation, platform: Platform) -> None:
    for number in range(1100):
        organisation.calendars(platform).add_account(f"user{number}@example.org", "Europe/Berlin")
    path = {G: "/google/admin/", M: "/microsoft/v1.0/users"}[platform]
    organisation.sandbox.faults.add(Fault(platform.value, "repeated_page", path=path, times=None))
    assert isinstance(organisation.refusal(platform), TransientError)


@pytest.mark.parametrize("kind", ["html", "empty_200", "truncated_json"])
def test_a_damaged_answer_is_no_empty_directory(
    organisation: Organisation, platform: Platform, kind: str
) -> None:
    path = {G: "/google/admin/", M: "/microsoft/v1.0/users"}[platform]
    organisation.sandbox.faults.add(Fault(platform.value, kind, path=path, times=None))
    assert isinstance(organisation.refusal(platform), TransientError)


# --- Google -------------------------------------------------------------------------------------


def test_aliases_and_archived_accounts_of_google(organisation: Organisation) -> None:
    organisation.google.account(DANA).aliases = ["D.Hale@example.org"]
    organisation.google.archive(RUBEN)
    assert organisation.accounts(G).of("d.hale@example.org") == DirectoryAccount(
        DANA, ("d.hale@example.org", "dana@example.org.test-google-a.com"), org_unit="/"
    )
    assert organisation.state_of(G, RUBEN) == "archived"


def test_without_an_administrator_there_is_no_directory(organisation: Organisation) -> None:
    organisation.changes = {"directory_admin": ""}
    assert organisation.ask(G, lambda directory: directory.accounts()) is None
    assert organisation.sandbox.requests.count("google.directory.users") == 0


def no_scope(organisation: Organisation) -> None:
    delegation = organisation.google.delegation
    delegation.authorised_scopes = frozenset(
        scope for scope in delegation.authorised_scopes if "directory" not in scope
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_scope, "scope"),
        (lambda o: setattr(o.google, "directory_enabled", False), "Admin SDK"),
        (lambda o: o.changes.update(directory_admin=DANA), "not an administrator"),
        (lambda o: o.changes.update(directory_admin="nobody@example.org"), "not an active account"),
        (lambda o: o.changes.update(directory_admin="nobody"), "not an active account"),
    ],
    ids=["scope", "api", "no administrator", "unknown", "malformed"],
)
def test_a_closed_directory_of_google_says_what_to_do_and_the_sync_goes_on(
    organisation: Organisation, spoil: Callable[[Organisation], None], words: str
) -> None:
    spoil(organisation)
    error = organisation.refusal(G)
    assert isinstance(error, TenantMisconfigured)
    assert error.code == "google_directory_denied"
    assert words in error.detail
    # A token of its own: what the directory lacks does not touch the calendars.
    organisation.ask(G, lambda directory: directory.look(DANA))


# --- Microsoft ----------------------------------------------------------------------------------


def test_names_and_guests_of_microsoft(organisation: Organisation) -> None:
    now = organisation.clock.now()
    users = organisation.microsoft.users
    users.add_alias(organisation.guid(DANA), "D.Hale@example.org", now)
    users.make_guest(organisation.guid(RUBEN), now)
    users.rename(organisation.guid(BOSS), None, now)
    found = organisation.accounts(M)
    for name in (DANA, "d.hale@example.org", organisation.guid(DANA).upper()):
        account = found.of(name)
        assert account is not None
        assert (account.address, account.object_id) == (DANA, organisation.guid(DANA))
    assert found.of(f"sip:{DANA}") is None
    assert organisation.state_of(M, RUBEN) == "guest"
    assert organisation.state_of(M, BOSS) == "no mailbox"


def test_a_shared_name_matches_no_account_unless_it_is_the_address_of_one(
    organisation: Organisation,
) -> None:
    now = organisation.clock.now()
    users = organisation.microsoft.users
    for name in (BOSS, RUBEN):
        users.add_alias(organisation.guid(name), "team@example.org", now)
        users.add_alias(organisation.guid(name), DANA, now)
    found = organisation.accounts(M)
    assert len(found.named("team@example.org")) == 2
    assert found.of("team@example.org") is None
    assert len(found.named(DANA)) == 3
    account = found.of(DANA)
    assert account is not None
    assert account.object_id == organisation.guid(DANA)


def test_a_closed_directory_of_microsoft_says_what_to_do(organisation: Organisation) -> None:
    organisation.microsoft.directory.roles.discard("User.Read.All")
    error = organisation.refusal(M)
    assert error.code == "microsoft_directory_denied"
    assert "User.Read.All" in error.detail
    organisation.ask(M, lambda directory: directory.look(DANA))


# --- one by one ---------------------------------------------------------------------------------


def test_single_accounts_tell_whether_they_can_be_used(
    organisation: Organisation, platform: Platform
) -> None:
    world = organisation.calendars(platform)
    world.no_licence(RUBEN)
    world.suspend(BOSS)
    staff = [
        WelkinUser(name, email, None, active=True)
        for name, email in (
            ("u1", "Dana+welkin@example.org"), ("u2", RUBEN), ("u3", BOSS), ("u4", "x@example.org"),
            ("u5", ""),
        )
    ]  # fmt: skip
    accounts, reasons = organisation.ask(platform, lambda d: look_at(d, staff))
    assert accounts.of(DANA) == DirectoryAccount(DANA)
    assert set(reasons) == {"dana+welkin@example.org", RUBEN, BOSS, "x@example.org"}
    assert reasons[RUBEN] == {G: "no calendar", M: "no mailbox"}[platform]
    assert reasons[BOSS] in ("unknown or suspended", "no such account")
    assert organisation.sandbox.requests.writes() == []


def test_a_fault_of_the_platform_is_no_fault_of_a_user(organisation: Organisation) -> None:
    organisation.google.delegation.missing = True
    with pytest.raises(TenantMisconfigured):
        organisation.ask(G, lambda d: look_at(d, [WelkinUser("u1", DANA, None, active=True)]))
