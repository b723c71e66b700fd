"""The section of docs/benchmarks.md about how long an edit takes to the other side."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from bench.latency import NOTICING, PLATFORMS, PUSH, TIMETABLE, by_direction
from bench.page import met, table, wrapped
from calendar_sync.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.latency import Edit, Idle, Latency, Part

HEADING = "## How long until the other side shows it"
HEADING_LARGE = "## How long with a thousand users"
#: Seconds, and shares, as promised for an idle organisation of 25.
CALENDAR_P50, CALENDAR_P95, PUSH_P95, TIMETABLE_P95 = 8, 12, 8, 75
NOTICING_CPU, WELKIN_PER_SECOND, RUNS_A_DAY, CPU_SHARE = 0.02, 0.5, 600, 0.5
NAMES = {"welkin": "Welkin", "google": "Google", "microsoft": "Microsoft"}
VARIANTS = {TIMETABLE: "runs each minute", NOTICING: "noticing", PUSH: "noticing and push"}
ABOUT = {
    TIMETABLE: "*Runs each minute* is `CALENDAR_SYNC_TRIGGERER=off`.",
    PUSH: (
        "*Push*: Google and Microsoft send notices to a receiver of its own process; "
        "Welkin sends none."
    ),
}


def section(found: Latency) -> str:
    """All tables of a small organisation, with the date and the load of each part."""
    return _section(HEADING, found, _targets(found))


def section_large(found: Latency) -> str:
    """Those of a large one, for which no times are promised."""
    return _section(HEADING_LARGE, found, [])


def _section(heading: str, found: Latency, targets: list[tuple[str, ...]]) -> str:
    idle = [_idle_row(part, part.off, "switched off") for part in found.parts if part.off]
    idle += [_idle_row(p, p.idle, VARIANTS[p.variant]) for p in found.parts if p.idle]
    parts = [
        heading,
        f"""Measured on {found.date} under a real scheduler and triggerer (LocalExecutor, SQLite,
all settings as shipped, Airflow's as in docker-compose.yaml, but DAG files are read again every
five minutes, answers of the sandbox at once), {found.edits} edits in each direction, at
random moments. Half of the users have a mailbox at Google, half at Microsoft. {_variants(found)}
Without push, an edit in a calendar waits for the next poll of its account: {_poll_seconds()} s at
most where all are polled in time.""",
        table(
            ("users", "variant", "edit", "n", "median, s", "p95, s", "longest, s"),
            [line for part in found.parts for line in _times(part)],
        ),
        """Where the time goes: medians of the seconds from the edit until it was noticed (the user
is marked), the run that writes it was created, its task started, and it was written. A run each
minute is created first and notices then; with noticing, an edit may still come into a run that was
created for another.""",
        table(
            ("users", "variant", "edit", "noticed", "run created", "task started", "written"),
            [line for part in found.parts for line in _stages(part)],
        ),
        _floor(found),
        idle
        and """Nobody edits anything; of each of these figures a day's worth. Airflow itself is the
larger part: the first line is an Airflow whose DAGs are switched off.""",
        idle
        and table(
            (
                "users", "variant", "measured", "runs", "tasks", "CPU of tasks, s",
                "CPU of all of Airflow, s", "triggerer, CPU-s a second", "Welkin, requests/s",
            ),
            idle,
        ),
        "\n".join(f"- {line}" for line in _loads(found)),
        targets and table(("", "target", "measured", ""), targets),
    ]  # fmt: skip
    return "\n\n".join(wrapped(part) for part in parts if part) + "\n"


def _variants(found: Latency) -> str:
    measured = {part.variant for part in found.parts}
    return " ".join(ABOUT[variant] for variant in VARIANTS if variant in measured & ABOUT.keys())


def _poll_seconds() -> int:
    return Settings().polling.interval_seconds


def _times(part: Part) -> Iterable[tuple[str, ...]]:
    for (source, target), edits in by_direction(part).items():
        took = [edit.written - edit.made for edit in edits]
        yield (
            *_names(part, source, target),
            str(len(took)),
            f"{statistics.median(took):.1f}",
            f"{share(took, 0.95):.1f}",
            f"{max(took):.1f}",
        )


def _stages(part: Part) -> Iterable[tuple[str, ...]]:
    def since(edits: list[Edit], when: Callable[[Edit], float | None]) -> str:
        known = [at - edit.made for edit in edits if (at := when(edit)) is not None]
        return f"{statistics.median(known):.1f}" if known else "-"

    for (source, target), edits in by_direction(part).items():
        yield (
            *_names(part, source, target),
            since(edits, lambda edit: edit.noticed),
            since(edits, lambda edit: edit.created),
            since(edits, lambda edit: edit.started),
            since(edits, lambda edit: edit.written),
        )


def _names(part: Part, source: str, target: str) -> tuple[str, str, str]:
    return f"{part.users:,}", VARIANTS[part.variant], f"{NAMES[source]} to {NAMES[target]}"


def share(values: list[float], wanted: float) -> float:
    """The value that so large a share of the values does not exceed."""
    return sorted(values)[math.ceil(wanted * len(values)) - 1]


def _floor(found: Latency) -> str:
    lines = [
        f"{statistics.median(part.floor):.1f} s beside {part.users:,} users (n = "
        f"{len(part.floor)}, p95 {share(part.floor, 0.95):.1f} s)"
        for part in found.parts
        if part.floor
    ]
    told = "from an event to the end of the only task of an empty DAG, median"
    return f"Airflow's own floor, in the same Airflow, {told}: {'; '.join(lines)}." if lines else ""


def _idle_row(part: Part, idle: Idle, variant: str) -> tuple[str, ...]:
    return (
        f"{part.users:,}",
        variant,
        f"{idle.seconds / 60:.1f} min",
        f"{idle.runs * idle.days:,.0f}",
        f"{idle.tasks * idle.days:,.0f}",
        f"{tasks_cpu(idle) * idle.days:,.0f}",
        f"{sum(idle.cpu.values()) * idle.days:,.0f}",
        f"{triggerer(idle):.3f}",
        f"{welkin(idle):.2f}",
    )


def tasks_cpu(idle: Idle) -> float:
    """CPU seconds of the executor's workers and what they ran."""
    return idle.cpu.get("task", 0.0) + idle.cpu.get("executor", 0.0)


def triggerer(idle: Idle) -> float:
    """CPU seconds of the triggerer in a second, what it takes without our triggers included."""
    return idle.cpu.get("triggerer", 0.0) / idle.seconds


def welkin(idle: Idle) -> float:
    """Requests to Welkin in a second."""
    asked = sum(count for kind, count in idle.requests.items() if kind.startswith("welkin."))
    return asked / idle.seconds


def _loads(found: Latency) -> list[str]:
    return [
        f"Load of the machine before the part of {part.users:,} users, {VARIANTS[part.variant]}: "
        f"{part.load:.1f}."
        for part in found.parts
    ]


def _targets(found: Latency) -> list[tuple[str, ...]]:
    small = {part.variant: part for part in found.parts}
    if set(small) != set(VARIANTS):
        return []  # not all of them are measured yet
    before, after, pushed = (small[variant] for variant in (TIMETABLE, NOTICING, PUSH))
    assert before.idle is not None
    assert after.idle is not None
    rows: list[tuple[str, ...]] = []

    def row(what: str, target: str, measured: str, reached: bool) -> None:
        rows.append((what, target, measured, met(reached)))

    for platform in PLATFORMS:
        to = ("welkin", platform.value)
        seconds = [edit.written - edit.made for edit in by_direction(after)[to]]
        half, most = statistics.median(seconds), share(seconds, 0.95)
        title = f"Welkin to {NAMES[platform]}, noticing"
        target = f"median <= {CALENDAR_P50} s, p95 <= {CALENDAR_P95} s"
        reached = half <= CALENDAR_P50 and most <= CALENDAR_P95
        row(title, target, f"{half:.1f} s, {most:.1f} s", reached)
        most = share([edit.written - edit.made for edit in by_direction(before)[to]], 0.95)
        title = f"Welkin to {NAMES[platform]}, runs each minute"
        row(title, f"p95 <= {TIMETABLE_P95} s", f"{most:.1f} s", most <= TIMETABLE_P95)
        back = (platform.value, "welkin")
        most = share([edit.written - edit.made for edit in by_direction(pushed)[back]], 0.95)
        title = f"{NAMES[platform]} to Welkin, noticing and push"
        row(title, f"p95 <= {PUSH_P95} s", f"{most:.1f} s", most <= PUSH_P95)
    extra = triggerer(after.idle) - triggerer(before.idle)
    row("noticing, CPU-s a second", f"<= {NOTICING_CPU}", f"{extra:.3f}", extra <= NOTICING_CPU)
    asked = welkin(after.idle)
    row("Welkin, requests/s", f"<= {WELKIN_PER_SECOND}", f"{asked:.2f}", asked <= WELKIN_PER_SECOND)
    runs = after.idle.runs * after.idle.days
    row("runs a day", f"<= {RUNS_A_DAY}", f"{runs:,.0f}", runs <= RUNS_A_DAY)
    assert after.off is not None
    base, new, old = (
        sum(idle.cpu.values()) / idle.seconds for idle in (after.off, after.idle, before.idle)
    )
    for what, part in (
        ("CPU of tasks", _tasks_a_second(after.idle) / _tasks_a_second(before.idle)),
        ("CPU beyond an Airflow whose DAGs are switched off", (new - base) / (old - base)),
        ("CPU of all of Airflow", new / old),
    ):
        title = f"{what}, of that with runs each minute"
        row(title, f"<= {CPU_SHARE:.0%}", f"{part:.0%}", part <= CPU_SHARE)
    return rows


def _tasks_a_second(idle: Idle) -> float:
    return tasks_cpu(idle) / idle.seconds
