"""The bench's latency: the times of an edit are in order, and the page tells them.

Only before a release, as the bench itself: it takes an Airflow of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import latency
from bench.latency import DIRECTIONS, NOTICING, PLATFORMS, Latency, measure_part
from bench.latency_page import section
from bench.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.every_seed,
    pytest.mark.xdist_group("airflow"),
]


def test_each_edit_is_followed_from_its_moment_to_the_other_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As shipped, an edit in a calendar waits for up to a minute.
    monkeypatch.setitem(latency.SHIPPED, "polling", {"interval_seconds": 5})
    arguments = ("--users", "4", "--encounters", "4", "--filled")
    with Stage(tmp_path / "organisation", *arguments, platforms=PLATFORMS) as stage:
        part = measure_part(stage, NOTICING, 1, 1.0, 0.05)
    assert {(edit.source, edit.target) for edit in part.edits} == set(DIRECTIONS)
    for edit in part.edits:
        assert edit.made < edit.created < edit.started < edit.written
        assert edit.noticed is None or edit.made <= edit.noticed < edit.written
    assert part.idle is not None
    assert part.idle.cpu["triggerer"] > 0
    assert len(part.floor) == 1
    found = Latency("2026-03-02", 1, {}, [part])
    found.save(tmp_path / "kept" / "latency.json")
    text = section(Latency.load(tmp_path / "kept" / "latency.json"))
    assert "| 4 | noticing | Welkin to Google | 1 |" in text
    assert "s beside 4 users (n = 1" in text
