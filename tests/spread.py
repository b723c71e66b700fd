"""A few cases of a parametrized test that show what all of its combinations show."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: A combination of values: names of parameters, and their values as text.
Shown = tuple[tuple[str, ...], tuple[str, ...]]


def further(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The cases that are left for `--every-seed` by `@pytest.mark.spread`.

    Each value of each parameter is kept, each combination is not. `spread(("name", "where"), …)`
    names what is kept instead: each combination of these parameters that occurs.
    """
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("spread") and not item.get_closest_marker("every_seed"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = []
    for cases in tests.values():
        marker = cases[0].get_closest_marker("spread")
        assert marker is not None
        kept = cover([_shown(case, marker.args) for case in cases])
        left += [case for number, case in enumerate(cases) if number not in kept]
    return left


def third(numbers: Sequence[int]) -> list[Any]:
    """Each third number, the first and the last for `make test`; the others with `--every-seed`."""
    now = {*numbers[::3], numbers[-1]}
    later = pytest.mark.every_seed
    return [pytest.param(number, marks=() if number in now else later) for number in numbers]


def _shown(item: Any, wanted: tuple[tuple[str, ...], ...]) -> set[Shown]:
    values: Mapping[str, Any] = item.callspec.params
    names = wanted or tuple((name,) for name in values)
    return {(each, tuple(repr(values[name]) for name in each)) for each in names}


def cover(cases: Sequence[set[Shown]]) -> set[int]:
    """The numbers of a few cases that show all that is shown, each value about equally often."""
    left = set().union(*cases)
    used: Counter[Shown] = Counter()
    kept: set[int] = set()
    while left:
        best = max(
            range(len(cases)),
            key=lambda number: (
                len(cases[number] & left),
                -sum(used[one] for one in cases[number]),
                -number,
            ),
        )
        left -= cases[best]
        used.update(cases[best])
        kept.add(best)
    return kept
