"""Noticing all the time, runs side by side, sweeps and push: everything comes together as well."""

import asyncio

import pytest

from calendar_sync.core.model import Platform
from tests.simulation.engine import GOOGLE, MICROSOFT, MIXED
from tests.simulation.noticed import Noticed

pytestmark = pytest.mark.simulation

STEPS, SHORT = 25, 15
# Platforms, administrators, sweeps, push.
STORIES: tuple[tuple[int, tuple[Platform, ...], bool, bool, bool], ...] = (
    (1, GOOGLE, False, True, True),
    (2, MICROSOFT, False, False, True),
    (3, MIXED, True, True, False),
    (4, MIXED, True, False, True),
)
FURTHER = tuple(
    (seed, platforms, seed % 2 == 0, seed % 3 > 0, seed % 4 > 0)
    for seed in range(5, 13)
    for platforms in (GOOGLE, MICROSOFT, MIXED)
)
# Seeds that once found a bug stay here for ever; the last number is that of the steps.
FOUND: tuple[tuple[int, tuple[Platform, ...], bool, bool, bool, int], ...] = (
    (6, GOOGLE, False, True, True, 44),  # one account was polled by two steps at once
    (6, MICROSOFT, True, False, True, 25),  # a doubt kept a cursor where it was for a day
)


@pytest.mark.parametrize(
    ("seed", "platforms", "administered", "sweeps", "push", "steps"),
    [
        *((*story, SHORT) for story in STORIES),
        *FOUND,
        *(
            pytest.param(*story, STEPS, marks=pytest.mark.every_seed)
            for story in (*STORIES, *FURTHER)
        ),
    ],
)
def test_whatever_is_lost_between_noticing_and_runs_both_sides_come_together(
    seed: int,
    platforms: tuple[Platform, ...],
    administered: bool,
    sweeps: bool,
    push: bool,
    steps: int,
) -> None:
    made = Noticed(seed, platforms=platforms, administered=administered, sweeps=sweeps, push=push)
    asyncio.run(made.run(steps))
    assert made.airflow.done["tasks"]
    assert made.meanwhile or administered


@pytest.mark.postgres
def test_postgresql_keeps_the_state_as_well(new_postgres_url: str) -> None:
    made = Noticed(1, platforms=MIXED, sweeps=True, push=True, database_url=new_postgres_url)
    asyncio.run(made.run(SHORT))
