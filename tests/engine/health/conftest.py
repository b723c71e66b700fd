"""The deployment of these tests allows a notifier that remembers what was sent."""

import json

import pytest

from calendar_sync.config.notifiers import VARIABLE

HERE = "tests.engine.health.test_notify"
RECORDER = f"{HERE}.Recorder"
IMPOSTORS = [f"{HERE}.{name}" for name in ("Nobody", "Impostor", "MESSAGE")]


@pytest.fixture(autouse=True)
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name them as a deployment does."""
    free = {"from_settings": ["a", "b", "s", "t", "text", "fail"]}
    monkeypatch.setenv(VARIABLE, json.dumps(dict.fromkeys([RECORDER, *IMPOSTORS], free)))
