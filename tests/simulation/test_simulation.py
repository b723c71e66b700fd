"""The whole engine against both servers, thousands of seeded steps, with crashes and faults."""

import asyncio

import pytest

from calendar_sync.model import Direction
from tests.simulation.engine import Simulation

pytestmark = pytest.mark.simulation

STEPS = 120
SEEDS = range(1, 9)
# Seeds that once found a bug stay here for ever.
FOUND: tuple[tuple[int, Direction, int], ...] = ()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("direction", list(Direction))
def test_both_sides_come_together_whatever_happens(seed: int, direction: Direction) -> None:
    asyncio.run(Simulation(seed, direction).run(STEPS))


@pytest.mark.parametrize(("seed", "direction", "steps"), FOUND)
def test_what_once_failed_does_not_fail_again(seed: int, direction: Direction, steps: int) -> None:
    asyncio.run(Simulation(seed, direction).run(steps))
