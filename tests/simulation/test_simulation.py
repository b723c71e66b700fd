"""The whole engine against both servers, thousands of seeded steps, with crashes and faults."""

import asyncio

import pytest

from calendar_sync.model import Direction
from tests.simulation.engine import Simulation

pytestmark = pytest.mark.simulation

STEPS = 120
SEEDS = range(1, 9)
# Seeds that once found a bug stay here for ever.
FOUND: tuple[tuple[int, Direction, int], ...] = (
    (2, Direction.BIDIRECTIONAL, 120),  # an encounter deleted while the audit was refused
    (3, Direction.BIDIRECTIONAL, 150),  # a past mirror dragged into the future stayed there
    (11, Direction.BIDIRECTIONAL, 60),  # a block's creation interrupted, then its event deleted
    (21, Direction.BIDIRECTIONAL, 150),  # a past block dragged into the future
    (315, Direction.BIDIRECTIONAL, 100),  # an all-day block given odd hours looked unchanged
    (127, Direction.BIDIRECTIONAL, 150),  # a series held on fewer days tripped the brake
    (109, Direction.BIDIRECTIONAL, 150),  # today's past block dragged into the future
)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("direction", list(Direction))
def test_both_sides_come_together_whatever_happens(seed: int, direction: Direction) -> None:
    asyncio.run(Simulation(seed, direction).run(STEPS))


@pytest.mark.parametrize(("seed", "direction", "steps"), FOUND)
def test_what_once_failed_does_not_fail_again(seed: int, direction: Direction, steps: int) -> None:
    asyncio.run(Simulation(seed, direction).run(steps))


@pytest.mark.postgres
def test_postgresql_keeps_the_state_as_well(postgres_url: str) -> None:
    asyncio.run(Simulation(1, database_url=postgres_url).run(STEPS))
