"""The settings for how often something is done, how fast, and when it is late."""

from datetime import datetime, time, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator

from calendar_sync.config.sections import Section


class Limits(Section):
    """Rates and sizes."""

    welkin_requests_per_second: float = Field(default=5.0, gt=0, le=100)
    """Requests to Welkin by all processes."""
    google_requests_per_minute: int = Field(default=10_000, ge=1)
    """Google's quota of the project, for all processes."""
    google_requests_per_day: int = Field(default=1_000_000, ge=1000)
    """Google's quota of the project. Polls use at most 60 % of it."""
    microsoft_requests_per_minute: int = Field(default=100_000, ge=1)
    """Requests to Microsoft by all processes. Microsoft allows 780,000."""
    microsoft_concurrency: int = Field(default=64, ge=1, le=256)
    """Most concurrent requests to Microsoft of one process."""
    microsoft_batch_size: int = Field(default=20, ge=1, le=20)
    """Requests to Microsoft in one batch."""
    max_user_tasks: int = Field(default=0, ge=0, le=1000)
    """Most mapped tasks of one run. With more users, users share tasks. 0: as many as Airflow runs
    at the same time for one run."""
    user_concurrency: int = Field(default=4, ge=1, le=32)
    """Users that one task syncs at the same time."""
    poll_concurrency: int = Field(default=16, ge=1, le=64)
    """Accounts that are polled at the same time."""
    max_cycle_seconds: float = Field(default=60.0, gt=0)
    """A cycle that takes longer continues in the next run."""
    max_cycle_writes: int = Field(default=100, ge=1)
    """A cycle with more writes continues in the next run."""
    max_wait_seconds: float = Field(default=20.0, ge=0)
    """If a cycle would have to wait longer, the user is retried later."""


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WorkingHours(Section):
    """Working hours in the organisation's zone, from `start` to `end`, also over midnight."""

    days: tuple[Day, ...] = Field(default=_WEEK[:5], min_length=1)
    """Working days."""
    start: time = time(7)
    """Start."""
    end: time = time(19)
    """End."""

    @field_validator("start", "end", mode="before")
    @classmethod
    def _a_time_of_day(cls, value: Any) -> Any:
        # YAML 1.1 takes 19:00 for a number in base 60.
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            return time(value // 60, value % 60)
        return value

    @field_validator("start", "end")
    @classmethod
    def _without_a_zone(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError("give no zone here: the organisation's zone is used")
        return value

    def hold(self, moment: datetime) -> bool:
        """`moment`, a local time, lies within."""
        day, clock = moment.weekday(), moment.time()
        if self.start < self.end:
            return self._works(day) and self.start <= clock < self.end
        if clock < self.end:
            return self._works(day - 1)
        return self._works(day) and clock >= self.start

    def _works(self, day: int) -> bool:
        return _WEEK[day % 7] in self.days


class Polling(Section):
    """How often accounts are checked for changes, optionally less often outside working hours."""

    interval_seconds: int = Field(default=60, ge=5, le=86_400)
    """Seconds between two polls of an account."""
    working_hours: WorkingHours | None = None
    """Outside these hours, accounts are polled less often."""
    off_hours_interval_seconds: int = Field(default=240, ge=5, le=86_400)
    """Seconds between two polls outside working hours."""
    sweep: Literal["auto", "on", "off"] = "auto"
    """Ask Google when many accounts are busy, in one request. `auto`: where polls are too slow."""
    sweep_as: str = Field(default="", max_length=320)
    """The account that asks; empty for any mapped one."""

    def interval_at(self, moment: datetime) -> int:
        """Seconds between two polls at a local time."""
        outside = self.working_hours is not None and not self.working_hours.hold(moment)
        return self.off_hours_interval_seconds if outside else self.interval_seconds


class Notice(Section):
    """How often changes in Welkin are looked for, where Airflow's triggerer looks for them."""

    welkin_seconds: int = Field(default=5, ge=1, le=300)
    """Seconds between two reads of Welkin's changes."""


class Freshness(Section):
    """When a change counts as late and causes an alert."""

    target_seconds: int = Field(default=300, ge=30, le=86_400)
    """A change that is not synced after this time is late."""

    @property
    def target(self) -> timedelta:
        """The same as a timedelta."""
        return timedelta(seconds=self.target_seconds)
