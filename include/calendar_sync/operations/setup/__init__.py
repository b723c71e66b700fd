"""The guided first set-up: its steps in their order, and how each stands.

Nothing of it is stored but what is there anyway, and the results of the last tests: whoever leaves
and comes back finds the steps as they are.
"""

from calendar_sync.operations.setup.steps import Step, StepStanding, There, next_step, steps

__all__ = ["Step", "StepStanding", "There", "next_step", "steps"]
