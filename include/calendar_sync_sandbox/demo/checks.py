"""What must hold at the end: every run was closed, and no patient data is left on disk."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

from calendar_sync_sandbox.demo.world import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from calendar_sync_sandbox.standalone import TaskInstance

PREFIX = 4
CLOSING_TASK = "record_run"


def run_problems(
    runs: Mapping[str, tuple[str, Sequence[TaskInstance]]], failing: Collection[str]
) -> list[str]:
    """What is wrong with runs that have ended.

    The closing task is a teardown whose failure does not fail its run: nothing else would notice.

    Args:
        runs: state and tasks of each run by its id.
        failing: the runs that were meant to fail; all others must have succeeded.
    """
    problems = []
    for run_id, (state, tasks) in runs.items():
        closing = [task.state for task in tasks if task.task_id == CLOSING_TASK]
        if closing != ["success"]:
            problems.append(f"{CLOSING_TASK} of {run_id}: {closing[0] if closing else 'missing'}")
        if (state == "failed") != (run_id in failing):
            problems.append(f"{run_id}: {state}")
    problems += [f"{run_id}: not found" for run_id in failing if run_id not in runs]
    return problems


def totals(summary: Mapping[str, int], leaks_on_disk: int, failed_users: int) -> dict[str, int]:
    """What the demo's last line counts, in its order."""
    return {
        "users": summary["users"],
        **{f"{platform}_mirrors": summary[f"{platform}_mirrors"] for platform in PLATFORMS},
        "blocks": summary["blocks"],
        "duplicates": summary["duplicates"],
        "canary_leaks": summary["canary_leaks"] + leaks_on_disk,
        "failed_users": failed_users,
    }


def leaks(texts: Iterable[tuple[str, bytes]], canaries: Sequence[str]) -> list[str]:
    """Where canaries are, one entry for each place and canary; never the canary itself.

    Args:
        texts: places and what is there.
        canaries: what must not be there.
    """
    # Over a thousand canaries in many megabytes: whatever begins like one is looked at closely.
    begins: dict[bytes, list[tuple[int, bytes]]] = {}
    for number, canary in enumerate(canaries):
        for spelling in _spellings(canary):
            begins.setdefault(spelling[:PREFIX], []).append((number, spelling))
    return [
        f"{place}: canary {number}"
        for place, content in texts
        for number in sorted(_found(content, begins))
    ]


def _found(content: bytes, begins: dict[bytes, list[tuple[int, bytes]]]) -> set[int]:
    found = set()
    for prefix, candidates in begins.items():
        position = content.find(prefix)
        while position >= 0:
            found |= {
                number for number, spelling in candidates if content.startswith(spelling, position)
            }
            position = content.find(prefix, position + 1)
    return found


def _spellings(canary: str) -> set[bytes]:
    # As it is, and as JSON writes it when it is not ASCII.
    return {canary.encode(), json.dumps(canary)[1:-1].encode()}


def contents(folder: Path, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, databases also row by row; `skip` names entries of the top."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if place.parts[0] in skip or not path.is_file():
            continue
        yield str(place), path.read_bytes()
        if path.suffix == ".db":
            # A long value may lie scattered over pages, so the bytes alone are not enough.
            yield f"{place} (rows)", "\n".join(_rows(path)).encode()


def _rows(path: Path) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        # Rows that others write meanwhile are of no use here, but must not end the search.
        database.text_factory = lambda raw: raw.decode(errors="replace")
        yield from database.iterdump()
