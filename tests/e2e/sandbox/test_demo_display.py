"""What is seen of the demo while it works, and what it leaves when it has failed."""

from __future__ import annotations

import io
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from calendar_sync_sandbox.demo import __main__ as demo
from calendar_sync_sandbox.demo.display import Display
from calendar_sync_sandbox.demo.stage import Interrupts, StageError
from calendar_sync_sandbox.patience import Patience
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds() -> list[float]:
    """The time, for tests to move."""
    return [0.0]


def shown(out: io.StringIO, seconds: list[float]) -> Display:
    return Display(out, clock=lambda: seconds[0])


@pytest.mark.parametrize("why", ["no terminal", "CI", "a terminal that takes no codes"])
def test_plain_lines_where_nothing_can_be_written_over(
    why: str, seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb" if "codes" in why else "xterm")
    monkeypatch.setenv("CI", "true" if why == "CI" else "")
    out = io.StringIO() if why == "no terminal" else Terminal()
    display = shown(out, seconds)
    display.say("starting")
    for now in range(1, 26):
        seconds[0] = float(now)
        display.going_on("first fill")
    assert out.getvalue().splitlines() == [
        "   0.0 s  starting",
        "  10.0 s  ... first fill",
        "  20.0 s  ... first fill",
    ]


def test_a_terminal_has_one_line_that_is_written_over(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    out = Terminal()
    display = shown(out, seconds)
    display.going_on("first fill")
    display.going_on("x" * 500)
    display.say("done")
    written = out.getvalue()
    assert written.count("\n") == 1
    assert written.endswith("\r\x1b[K   0.0 s  done\n")
    longest = max(len(line) for line in written.split("\r"))
    assert longest <= display.console.width + len("\x1b[K")
    # What stays is kept, since it is searched for patient data.
    assert display.console.export_text(clear=False) == "   0.0 s  done\n"


def test_patience_ends_where_nothing_moves_and_restarts_where_something_does() -> None:
    patience = Patience(3)
    assert [patience.left("a") for _ in range(4)] == [True, True, True, False]
    patience = Patience(3)
    assert all(patience.left(number // 3) for number in range(50))
    assert Patience(3).left(None)


class Played:
    """A stage on which nothing is started."""

    runs = True

    def __init__(self, *_: object) -> None:
        self.left = ""

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.fixture
def performance(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, bool]]:
    """Plays the demo's frame: `performance(prepare=…, play=…)` gives its code, and if it stays."""

    def played(**parts: Any) -> tuple[int, bool]:
        stays = []
        monkeypatch.setattr(demo, "Stage", Played)
        monkeypatch.setattr(Interrupts, "install", lambda _: None)
        monkeypatch.setattr(demo.Demo, "prepare", parts.get("prepare", lambda *_: None))
        monkeypatch.setattr(demo.Demo, "play", parts.get("play", lambda *_: True))
        monkeypatch.setattr(demo.Demo, "stay", lambda *_: stays.append(True))
        return demo.main(), bool(stays)

    return played


def _broken(*_: object) -> None:
    raise StageError("no sandbox")


@pytest.mark.parametrize("wanted", ["", "0", "1"])
def test_what_has_failed_is_left_running_for_a_look(
    wanted: str, performance: Callable[..., tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_EXIT", wanted)
    stays = wanted != "1"
    assert performance() == (0, stays)
    assert performance(play=lambda *_: False) == (1, stays)
    assert performance(prepare=_broken) == (1, stays)
    monkeypatch.setattr(Played, "runs", False)
    assert performance(prepare=_broken) == (1, False)


def test_it_says_at_once_what_it_does_and_how_long_that_takes(
    performance: Callable[..., tuple[int, bool]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DEMO_EXIT", "1")
    said = []
    performance(prepare=lambda *_: said.append(capsys.readouterr().out))
    assert "minutes" in said[0]
    assert "Ctrl-C" in said[0]


def test_installing_says_so_before_anything_else() -> None:
    """Nothing is run: make only tells what it would do.

    A make that these tests were started by must not be heard: below another make it says first
    which folder it enters, and it takes over that one's flags.
    """
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],  # noqa: S607 - whichever make there is
        cwd=REPOSITORY,
        env=alone,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert "Installing" in told[0]
    assert "minute" in told[0]
    steps = [line for line in told if "of 3" in line]
    assert len(steps) == 3
    assert told.index(steps[0]) < next(n for n, line in enumerate(told) if "-m venv" in line)
