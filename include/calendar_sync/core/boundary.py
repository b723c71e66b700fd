"""Where exceptions leave: tasks, commands, pages. What is behind them stays here.

Error trackers, and Airflow where it is told to, keep the locals of every frame of a traceback and
of whatever the exception came from: tokens, keys, appointments.
"""

from collections.abc import Callable
from types import TracebackType


class Hidden(str):
    """A secret text that `repr` never shows: in tracebacks, debuggers, dataclasses."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class Boundary:
    """A `with` block that lets an exception out alone: without its frames and its past.

    Args:
        told: makes of what was raised what is to leave; it may be the same.
    """

    def __init__(self, told: Callable[[BaseException], BaseException]) -> None:
        self._told = told

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        leaving = self._told(error)
        # This frame will be the last of the traceback: it knows of nothing else then.
        del kind, error, trace
        try:
            raise alone(leaving)
        except BaseException:
            # Raising has tied it to what is being handled; raising again does not.
            leaving.__context__ = None
            raise


def alone(error: BaseException) -> BaseException:
    """The exception without frames and past. Raise it where nothing is being handled."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
