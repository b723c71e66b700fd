"""What people upload and servers answer costs seconds and megabytes, whatever it is."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.servers import REPOSITORY

#: On one worker: the inputs are read once.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("bounds")]
#: Processor time of one input, and memory of the process: generous to slow machines.
SECONDS, MEGABYTES = 15.0, 500
#: Read, but as nothing of any meaning.
TAKEN = {"a row of commas", "deep JSON in a text"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """What became of each, in a process of their own: some of them used to end it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.bounds"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-3000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_small_inputs_cost_little_time(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["seconds"] > SECONDS] == []


def test_small_inputs_cost_little_memory(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["peak"] > MEGABYTES] == []


def test_they_are_refused_in_few_words(rows: list[dict[str, Any]]) -> None:
    taken = {row["name"] for row in rows if row["said"] == "taken"}
    assert taken == TAKEN
    words = [row for row in rows if row["said"].startswith("refused")]
    assert [row for row in words if int(row["said"].split()[1]) > 10_000] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("packed blanks", "answer_too_large"),
        ("packed blanks in one piece", "answer_too_large"),
        ("blanks", "answer_too_large"),
        ("nothing behind the end", "answer_too_large"),
        ("not packed", "unreadable_answer"),
        ("packed twice", "unreadable_answer"),
        ("another way of packing", "unreadable_answer"),
        ("deep", "answer_too_large"),
        ("objects", "answer_too_large"),
    ],
)
def test_a_servers_answer_is_a_failed_request(
    rows: list[dict[str, Any]], name: str, code: str
) -> None:
    [row] = [row for row in rows if row["name"] == f"200: {name}"]
    assert row["said"] == f"failed {code}"
