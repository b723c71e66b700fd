"""`calendar-sync check`: faults of an app registration are told apart before anybody syncs."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from calendar_sync.adapters.microsoft import MicrosoftCalendar
from calendar_sync.config.credentials import MicrosoftCredentials
from calendar_sync.core.model import Finding, Platform
from calendar_sync.sync.runtime import Secrets
from tests.harness import World

DANA, RUBEN, MIRA = "dana@example.org", "ruben@example.org", "mira@example.org"


class Tenant(World):
    """Three mailboxes, of which the first two are mapped."""

    def __init__(self) -> None:
        super().__init__()
        for account in (DANA, RUBEN, MIRA):
            self.microsoft.add_account(account, "America/New_York")
        self.changes: dict[str, Any] = {}

    def secrets(self) -> Secrets:
        made = super().secrets()
        assert isinstance(made.microsoft, MicrosoftCredentials)
        return replace(made, microsoft=replace(made.microsoft, **self.changes))

    def check(self, *accounts: str) -> list[tuple[str, str]]:
        """Who and which code."""
        return [(found.account, found.code) for found in self.findings(*accounts)]

    def findings(self, *accounts: str) -> list[Finding]:
        async def look(services: Any) -> list[Finding]:
            calendar = services.platforms[Platform.MICROSOFT]
            assert isinstance(calendar, MicrosoftCalendar)
            return await calendar.check_access(accounts or (DANA, RUBEN))

        found: list[Finding] = asyncio.run(self.with_services(look))
        return found


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    made = Tenant()
    yield made
    made.database.close()


def test_nothing_is_wrong_and_nothing_was_changed(tenant: Tenant) -> None:
    assert tenant.check() == []
    asked = [e for e in tenant.sandbox.requests if e.service == "microsoft"]
    assert not [e for e in asked if e.is_write and e.status < 400]


def expire(tenant: Tenant) -> None:
    tenant.microsoft.directory.secret_state = "expired"


def unregister(tenant: Tenant) -> None:
    tenant.microsoft.directory.app_registered = False


def refuse_consent(tenant: Tenant) -> None:
    tenant.microsoft.directory.consent = False


def grant(*roles: str) -> Callable[[Tenant], None]:
    def act(tenant: Tenant) -> None:
        tenant.microsoft.directory.roles = set(roles)

    return act


def change(**values: str) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.changes.update(values)


@pytest.mark.parametrize(
    ("act", "code", "says"),
    [
        (change(tenant="11111111-2222-3333-4444-555555555555"), "microsoft_invalid_tenant",
         "tenant does not exist"),
        (change(secret="not the secret"), "microsoft_invalid_client", "secret is wrong"),
        (expire, "microsoft_invalid_client", "has expired"),
        (unregister, "microsoft_unauthorized_client", "does not know this client"),
        (refuse_consent, "microsoft_unauthorized_client", "consent"),
        (grant(), "microsoft_no_consent", "no permissions"),
        (grant("User.Read.All"), "microsoft_calendars_denied", "Calendars.ReadWrite"),
        (grant("Calendars.ReadWrite"), "microsoft_directory_denied", "User.Read.All"),
    ],
    ids=["wrong tenant", "wrong secret", "expired secret", "unknown app", "no consent",
         "no permission", "no calendars", "no directory"],
)  # fmt: skip
def test_what_is_wrong_for_everybody_is_named(
    tenant: Tenant, act: Callable[[Tenant], None], code: str, says: str
) -> None:
    act(tenant)
    (found,) = tenant.findings()
    assert (found.account, found.code) == ("", code)
    assert says in found.advice


def test_a_mailbox_outside_the_scope_is_distinguished_from_a_missing_permission(
    tenant: Tenant,
) -> None:
    tenant.microsoft.revoke(DANA)
    assert tenant.check() == [(DANA, "microsoft_outside_scope")]
    assert tenant.check(DANA) == [(DANA, "microsoft_outside_scope")], "others of the tenant answer"
    tenant.microsoft.revoke(RUBEN)
    tenant.microsoft.revoke(MIRA)
    assert tenant.check() == [("", "microsoft_calendars_denied")], "or so it seems"


def test_no_mailbox_no_licence_and_no_account(tenant: Tenant) -> None:
    tenant.microsoft.no_licence(DANA)
    assert tenant.check(DANA, RUBEN, "nobody@example.org") == [
        (DANA, "microsoft_no_mailbox"),
        ("nobody@example.org", "microsoft_account_unknown"),
    ]


def test_calendars_that_can_only_be_read(tenant: Tenant) -> None:
    tenant.microsoft.directory.roles = {"User.Read.All", "Calendars.Read"}
    assert tenant.check() == [(DANA, "microsoft_read_only"), (RUBEN, "microsoft_read_only")]


def test_no_advice_names_a_secret(tenant: Tenant) -> None:
    tenant.changes["secret"] = "hunter2-of-the-tests"
    (found,) = tenant.findings()
    assert "hunter2" not in repr(found)
