"""Ten thousand accounts, answers after 100 ms: a round of polls, a sweep, some who changed.

`python -m bench --many` measures this alone and replaces its section of the page.
"""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench import cases, paper
from bench.cases import Case
from bench.forecast import GOOGLE_PER_MINUTE
from bench.least import Least, idle
from bench.measure import BenchError
from bench.page import HEADINGS, machine, median_wall, met, row, table, wrapped
from bench.results import Results
from bench.stage import Stage
from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Platform
from calendar_sync.sync.freshness import QUOTA_SHARE, poll_interval
from calendar_sync.sync.permits import BURST_SECONDS, sustained
from calendar_sync.sync.swept import AT_ONCE, pace

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

HEADING = "## Ten thousand accounts"
FAR_SECONDS = 0.1
ENCOUNTERS = 2
#: One account in so many has a change.
CHANGED = 100
MOST_MB = 400
#: Promised: a new busy time at Google is noticed within so many seconds; so long a round of polls
#: at Microsoft takes.
NOTICED_SECONDS, ROUND_SECONDS = 150, 60
DAY = timedelta(days=1)


def measure(folder: Path, scale: Scale) -> Results:
    """Both platforms, one after the other; everybody is in step and nobody has changed."""
    results = Results.begin(scale)
    arguments = ("--users", str(scale.many), "--encounters", str(ENCOUNTERS), "--light", "--filled")
    with contextlib.ExitStack() as open_, ThreadPoolExecutor() as both:
        stages = {
            platform: Stage(folder / f"many-{platform}", *arguments, platforms=(platform,))
            for platform in Platform
        }
        # Made side by side, which takes minutes; measured one after the other.
        list(both.map(open_.enter_context, stages.values()))
        for platform, stage in stages.items():
            cases.say(f"made: {scale.many:,} accounts, {stage.story}")
            stage.world.answer_after(platform, FAR_SECONDS)
            results.organisation[f"{platform}_mb"] = _size(stage)
            results.organisation[f"{platform}_written"] = stage.story["written"]
            results.add(_polls(stage, platform, scale.many))
            results.add(_polls(stage, platform, scale.many, one_in=2))
            results.add(_changed(stage, platform, scale.many))
            if platform is Platform.GOOGLE:
                results.add(_sweeps(stage, scale.many))
    return results


def _polls(stage: Stage, platform: Platform, accounts: int, *, one_in: int = 1) -> Case:
    """Everybody is due, or one in so many; the first round, which gets the tokens, is not kept."""
    accounts //= one_in
    case = Case(
        f"{platform}_polls_{one_in}",
        f"{platform.value}, one round of {accounts:,} polls",
        least=idle(accounts),
    )
    stage.configure(polling={"sweep": "off"})
    for number in range(3):
        stage.let_time_pass(one_in)
        run = stage.measure("poll")
        if run.outcome["polled"] != accounts or run.outcome["marked"]:
            raise BenchError(f"{accounts} idle accounts, but {run.outcome}")
        if number:
            cases.note(case, run)
    return case


def _changed(stage: Stage, platform: Platform, accounts: int) -> Case:
    """A pass in which a hundredth has one change each."""
    some = max(1, accounts // CHANGED)
    case = Case(f"{platform}_pass", f"{platform.value}, pass, {some:,} of them changed")
    for _ in range(2):
        stage.edit(some)
        stage.let_time_pass()
        run = stage.measure("pass")
        if run.writes != some:
            raise BenchError(f"{some} changes, but {run.outcome}")
        cases.note(case, run)
    return case


def _size(stage: Stage) -> float:
    """Megabytes of the state database."""
    with sqlite3.connect(stage.state) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return stage.state.stat().st_size / 2**20


def _sweeps(stage: Stage, accounts: int) -> Case:
    """The first sweep, which knows nothing yet, is not kept."""
    requests = -(-accounts // AT_ONCE)
    least = Least(requests, f"{accounts:,} calendars, {AT_ONCE} in a request")
    case = Case("google_sweep", "google, one sweep", least=least)
    stage.configure(polling={"sweep": "on"})
    for number in range(3):
        run = stage.measure("sweep")
        if run.outcome["asked"] != accounts or run.outcome["unseen"]:
            raise BenchError(f"{accounts} accounts, but {run.outcome}")
        if number:
            if run.outcome["changed"]:
                raise BenchError(f"nobody has changed, but {run.outcome}")
            cases.note(case, run)
    return case


def section(results: Results) -> str:
    """What was measured, and what follows for a day."""
    accounts, settings = results.scale.many, Settings()
    now = datetime.now(UTC)
    plain = poll_interval(settings, Platform.GOOGLE, accounts, now).total_seconds()
    sweep = results.cases["google_sweep"]
    found = [*results.cases.values()]
    half, mailboxes = results.cases["google_polls_2"], results.cases["microsoft_polls_1"]
    day = settings.limits.google_requests_per_day
    rate = sustained(GOOGLE_PER_MINUTE)
    lines = [
        f"""A round of {accounts:,} single polls at Google cannot be shorter than {
            accounts / rate - BURST_SECONDS:.0f} s: its quota is {GOOGLE_PER_MINUTE:,} requests a
        minute for a project, and the sync keeps below it.""",
        f"""Polls alone: each account every {plain:,.0f} s, {
            DAY.total_seconds() / plain * accounts / day:.0%} of {day:,} requests a day.""",
    ]
    rows = []
    if swept := pace(settings, Platform.GOOGLE, accounts, 0, now):
        every = swept.sweeps.total_seconds()
        asked = (DAY / swept.sweeps) * -(-accounts // AT_ONCE) + (DAY / swept.seen) * accounts
        noticed = every + median_wall(sweep)
        lines.append(
            f"""With sweeps (`polling.sweep: auto`): one every {every:.0f} s, and each account
            polled every {swept.seen.total_seconds():,.0f} s besides: {asked:,.0f} requests a day,
            {asked / day:.0%}. Whoever a sweep shows to have changed is polled at once:
            a change costs this poll, a read and the write on top."""
        )
        rows = [
            (
                "new busy time at Google noticed, time between sweeps and one sweep",
                f"<= {NOTICED_SECONDS} s",
                f"{noticed:.0f} s",
                met(noticed <= NOTICED_SECONDS),
            ),
            (
                "requests to Google a day, while nobody changes",
                f"<= {QUOTA_SHARE:.0%} of {day:,}",
                f"{asked / day:.0%}",
                met(asked <= QUOTA_SHARE * day),
            ),
        ]
    took = median_wall(mailboxes)
    rows.append(
        (
            f"a round of polls of {accounts:,} Microsoft mailboxes",
            f"<= {ROUND_SECONDS} s",
            f"{took:.0f} s",
            met(took <= ROUND_SECONDS),
        )
    )
    memory = max(run.memory_mb for case in found for run in case.runs)
    rows += [
        (
            f"a look for changes at {accounts // 2:,} Google accounts, one poll each",
            f"<= {ROUND_SECONDS} s",
            f"{median_wall(half):.0f} s",
            met(median_wall(half) <= ROUND_SECONDS),
        ),
        ("memory of any of these", f"< {MOST_MB} MB", f"{memory:.0f} MB", met(memory < MOST_MB)),
    ]
    for one in Platform:
        size, written = (results.organisation[f"{one}_{word}"] for word in ("mb", "written"))
        made = sum(written.values())
        lines.append(
            f"""State database (SQLite) of {accounts:,} {one.value.capitalize()} accounts:
            {size:,.0f} MB, {size * 1024 / made:.1f} kB for each of {made:,} mirrors and blocks."""
        )
    parts = [
        HEADING,
        f"""Measured on {results.date} on {machine(results)} (load {results.load_before:.1f} before
the start): {accounts:,} accounts with {ENCOUNTERS} encounters and three events each, all in step,
every answer after {FAR_SECONDS * 1000:.0f} ms. Tokens are at hand.""",
        table(HEADINGS, [row(case) for case in found]),
        "\n".join(f"- {line}" for line in lines),
        table(("", "target", "measured", ""), rows),
        paper.section(results, NOTICED_SECONDS, ROUND_SECONDS),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"
