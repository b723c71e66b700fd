"""Stages that are taken down again."""

from collections.abc import Callable, Iterator

import pytest

from tests.engine.cycle.stage import Stage


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    """Makes stages: `stage("dana", "ruben", settings=…)`."""
    made: list[Stage] = []

    def make(*names: str, **more: object) -> Stage:
        made.append(Stage(*names, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        # Whatever a test did, no request may have been able to cause mail.
        assert one.sandbox.requests.mail_risk == []
        one.database.close()
