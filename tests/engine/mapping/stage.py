"""An organisation whose mapping follows rules."""

import asyncio
from dataclasses import replace
from typing import Any

from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.mapping_rules import Evaluation, RuleState
from calendar_sync.operations.mapping.proposing import Proposals, find_proposals
from calendar_sync.operations.mapping.rules import Mode, evaluate
from calendar_sync.sync.runtime import Secrets
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail

GROUP = "surgeons@example.org"
PROFILES: dict[str, Any] = {
    "surgeons": {"mirror_moved": "report"},
    "basic": {"mirror_deleted": "report"},
}


class Ruled(Stage):
    """Staff with mailboxes on one platform, none of them mapped; the boss reads the directory."""

    def __init__(self, platform: Platform, *names: str) -> None:
        self.changes: dict[str, Any] = {}
        self.without: set[Platform] = set()
        super().__init__(*(names or ("dana", "ruben", "mira")), platform=platform)
        self.google.add_account(mail("boss")).admin = True
        self.document = {"profiles": PROFILES}
        self.remap(*self.ids)

    def secrets(self) -> Secrets:
        made = super().secrets()
        assert made.google is not None
        made = replace(made, google=replace(made.google, **self.changes))
        gone: Any = {platform.value: None for platform in self.without}
        return replace(made, **gone)

    @property
    def groups(self) -> Any:
        return self.google.groups if self.platform is Platform.GOOGLE else self.microsoft.groups

    def group(self, *names: str, email: str = GROUP) -> None:
        """Make it, or say who is in it now."""
        self.groups.add(email, *(name if "@" in name else mail(name) for name in names))

    def rules(self, *rules: dict[str, Any], **settings: Any) -> None:
        """The settings have these rules; names and the platform are given if they are missing."""
        made = [
            {"name": f"rule {number}", "platform": self.platform.value} | rule
            for number, rule in enumerate(rules)
        ]
        self.document = {"profiles": PROFILES, "mapping_rules": made} | settings

    def evaluate(self, mode: Mode = Mode.DAILY) -> Evaluation:
        async def work(services: Services) -> Evaluation:
            return await evaluate(services, mode)

        found: Evaluation = asyncio.run(self.with_services(work))
        return found

    def propose(self) -> tuple[Proposals, list[str]]:
        told: list[str] = []

        async def work(services: Services) -> Proposals:
            return await find_proposals(services, self.platform, told.append)

        return asyncio.run(self.with_services(work)), told

    @property
    def mapped(self) -> dict[str, str]:
        """Profile of each enabled row by name; "-" in front of it if the row is disabled."""
        names = {user_id: name for name, user_id in self.ids.items()}
        return {
            names[row.user_id]: ("" if row.enabled else "-") + row.profile
            for row in self.store.config.mapping(self.platform)
        }

    def edit(self, name: str, **values: Any) -> None:
        """A person changes a row, or adds it."""

        def change(rows: list[MappedUser]) -> list[MappedUser]:
            mine = MappedUser(self.ids[name], self.platform, mail(name))
            there = next((row for row in rows if row.user_id == self.ids[name]), mine)
            others = [row for row in rows if row.user_id != self.ids[name]]
            return [*others, replace(there, **values)]

        self.store.config.edit_mapping(change, "a person", self.clock.now())

    def unmap(self, name: str) -> None:
        """A person removes a row."""

        def change(rows: list[MappedUser]) -> list[MappedUser]:
            return [row for row in rows if row.user_id != self.ids[name]]

        self.store.config.edit_mapping(change, "a person", self.clock.now())

    def user(self, name: str) -> Any:
        return self.welkin.users[self.ids[name]]


def state(found: Evaluation, name: str = "rule 0") -> RuleState:
    return next(one for one in found.rules if one.name == name)


def codes(found: Evaluation) -> dict[str, str]:
    return {one.name: one.code for one in found.rules}


def changes(found: Evaluation, what: str) -> list[tuple[str, str, str]]:
    """What is done, to whom, with which profile; of `done`, `waiting` or `held`."""
    return [(one.what, one.account.partition("@")[0], one.profile) for one in getattr(found, what)]
