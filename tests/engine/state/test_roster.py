"""Whom the sync is about: of some users as of all."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import insert

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform, WelkinUser
from calendar_sync.core.model.welkin import INACTIVE
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.sync.roster import FEW, members
from tests.engine.state.conftest import NOW

G = Platform.GOOGLE
USERS = [f"u{number:02}" for number in range(30)]
LATER = NOW + timedelta(hours=2)


def fill(store: Store, chance: random.Random, inactive: int) -> None:
    """Some are mapped, some disabled, some have a mirror, some paused, so many have left Welkin."""
    mapped = [
        MappedUser(one, G, f"{one}@example.org", enabled=chance.random() < 0.8)
        for one in USERS
        if chance.random() < 0.8
    ]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    left = set(chance.sample(USERS, inactive))
    staff = [
        WelkinUser(one, f"{one}@example.org", "UTC", one not in left, INACTIVE * (one in left))
        for one in USERS
    ]
    store.config.save_welkin_users(staff, NOW)
    holders = [one for one in USERS if chance.random() < 0.6]
    link = {
        "kind": "mirror", "platform": G.value, "calendar": "primary", "generation": 1,
        "state": "live", "span": "", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    with store.database.write() as connection:
        store.marks.mark(connection, [(one, G) for one in holders], NOW)
        rows = [
            {
                **link,
                "user_id": one,
                "account": f"{one}@example.org",
                "source_id": one,
                "remote_id": one,
            }
            for one in holders
        ]
        connection.execute(insert(t.link), rows)
        for one in chance.sample(USERS, 4):
            store.pauses.begin(connection, one, NOW + timedelta(days=1), "tests", NOW)


@pytest.mark.parametrize("inactive", [0, 1, 15])
@pytest.mark.parametrize("on_unmapped", ["remove", "keep"])
@pytest.mark.parametrize("seed", range(3))
def test_of_some_users_the_same_is_said_as_among_all(
    store: Store, seed: int, on_unmapped: str, inactive: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    fill(store, chance, inactive)
    settings = parse({"on_unmapped": on_unmapped, "deletion_guard": {"max_share": 0.1}})
    of_all = members(store, settings, G, LATER)
    assert of_all.synced
    assert bool(of_all.held) == (inactive == 15)
    for size in (1, 3, len(USERS)):
        some = set(chance.sample(USERS, size))
        of_some = members(store, settings, G, LATER, some)
        assert {one: of_some.synced[one] for one in of_some.synced.keys() & some} == {
            one: of_all.synced[one] for one in of_all.synced.keys() & some
        }
        assert {one: of_some.paused[one] for one in of_some.paused.keys() & some} == {
            one: of_all.paused[one] for one in of_all.paused.keys() & some
        }
        for name in ("leaving", "held", "unchecked", "known", "served"):
            assert getattr(of_some, name) & some == getattr(of_all, name) & some, name


def test_few_users_are_read_by_themselves_and_many_with_everybody(store: Store) -> None:
    fill(store, random.Random(1), 0)  # noqa: S311 - seeded on purpose
    settings = parse({})
    assert members(store, settings, G, LATER, USERS[:3]).known <= set(USERS[:3])
    many = [*USERS[:3], *(f"nobody{number}" for number in range(FEW))]
    everybody = members(store, settings, G, LATER)
    assert members(store, settings, G, LATER, many).known == everybody.known
