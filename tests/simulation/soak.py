"""`make soak MINUTES=…`: the simulation for as long as wanted, with seeds nobody has tried.

Every failure is printed with what repeats it; put it into `FOUND` of test_simulation.py. The
first seed is the time of the start, so that no two soaks do the same, unless one is given:
`python -m tests.simulation.soak MINUTES [SEED]`.
"""

import asyncio
import random
import sys
import time
import traceback

from calendar_sync.core.model import Direction
from tests.simulation.engine import GOOGLE, MICROSOFT, MIXED, Simulation
from tests.simulation.noticed import Noticed

REPORT_EVERY = 300.0


def choose(seed: int) -> tuple[Simulation, int]:
    """A simulation for this seed, and its number of steps: more than half with administrators."""
    chance = random.Random(f"soak-{seed}")  # noqa: S311 - seeded on purpose
    administered = chance.random() < 0.6
    direction = Direction.BIDIRECTIONAL if administered else chance.choice(list(Direction))
    platforms = chance.choice([GOOGLE, MICROSOFT, MIXED, MIXED])
    # Losing needs both ways: who may not write a side cannot take over what stands there.
    losing = not administered and direction is Direction.BIDIRECTIONAL
    seldom = chance.random() < 0.5
    # Of its own, so that a seed of before tells the same story.
    meets = random.Random(f"meetings-{seed}")  # noqa: S311 - seeded on purpose
    # Likewise: what further is told where administrators act and mailboxes keep their names.
    told = random.Random(f"told-{seed}").choice(["", "profiled", "personal", "ruled"])  # noqa: S311
    if not administered or seldom:
        told = ""
    simulation = Simulation(
        seed,
        direction,
        platforms,
        administered=administered,
        losing=losing,
        seldom=seldom,
        meetings=platforms == MIXED and meets.random() < 0.5,
        profiled=told in {"profiled", "ruled"},
        personal=told == "personal",
        doubled=told == "personal" and random.Random(f"doubled-{seed}").random() < 0.5,  # noqa: S311
        ruled=told == "ruled",
    )
    steps = chance.choice([60, 100, 150, 250])
    simulation.stubborn = chance.random() < 0.4
    rests = random.Random(f"pausing-{seed}")  # noqa: S311 - seeded on purpose
    simulation.pausing = not losing and rests.random() < 0.4
    # Of its own, so that a seed of before tells the same story.
    apart = random.Random(f"noticed-{seed}")  # noqa: S311 - seeded on purpose
    if not losing and not seldom and apart.random() < 0.5:
        sweeps, push = apart.random() < 0.5, apart.random() < 0.6
        story = Noticed(
            seed, direction, platforms, administered=administered, sweeps=sweeps, push=push
        )
        return story, apart.choice([25, 50, 80])
    return simulation, steps


def noticed(simulation: Simulation) -> str:
    """How a story with noticing is repeated; nothing for the others."""
    if not isinstance(simulation, Noticed):
        return ""
    return f"Noticed sweeps={simulation.sweeps} push={simulation.push}"


def main(minutes: float, first: int) -> int:
    """Run seeds from `first` on; returns the number of failures."""
    begun = reported = time.monotonic()
    steps = failures = runs = 0
    while time.monotonic() - begun < minutes * 60:
        seed = first + runs
        simulation, wanted = choose(seed)
        runs += 1
        try:
            asyncio.run(simulation.run(wanted))
        except Exception as error:
            failures += 1
            platforms = "+".join(simulation.platforms)
            print(
                f"FAILED seed={seed} steps={wanted} direction={simulation.direction} "
                f"platforms={platforms} administered={simulation.administered} "
                f"losing={simulation.losing} seldom={simulation.seldom} "
                f"stubborn={simulation.stubborn} pausing={simulation.pausing} "
                f"meetings={simulation.meetings} "
                f"profiled={simulation.profiled} personal={simulation.personal} "
                f"doubled={simulation.doubled} "
                f"ruled={simulation.ruled} "
                f"{noticed(simulation)}",
                flush=True,
            )
            if isinstance(error, AssertionError):
                print(error, flush=True)
            else:
                traceback.print_exc()
        steps += simulation.step
        if time.monotonic() - reported > REPORT_EVERY:
            reported = time.monotonic()
            print(f"{runs} runs, {steps} steps, {failures} failures", flush=True)
    took = (time.monotonic() - begun) / 60
    print(
        f"soak: {steps} steps in {runs} runs, {took:.1f} minutes, first seed {first}: "
        f"{failures} failed",
        flush=True,
    )
    return failures


if __name__ == "__main__":
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    first = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    sys.exit(1 if main(minutes, first) else 0)
