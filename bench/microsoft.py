"""The same cases with Microsoft's mailboxes, and what carrying polls together saves.

`python -m bench --microsoft` measures these alone and replaces their section of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import cases, least
from bench.cases import Case
from bench.measure import BenchError
from bench.page import HEADINGS, median_wall, row, table, wrapped
from bench.results import Results
from bench.stage import Stage
from calendar_sync.core.model import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

HEADING = "## Microsoft 365"
#: What an answer of Graph takes; nobody publishes it. Requests from a data centre are that fast.
FAR_SECONDS = 0.1
OWN = ("idle", "plain", "idle_far", "plain_far", "pass", "fill")


def measure(folder: Path, scale: Scale) -> Results:
    """All cases, one after the other."""
    results = Results.begin(scale)
    results.add(cases.first_fill(folder, scale, Platform.MICROSOFT))
    arguments = ("--users", str(scale.accounts), "--encounters", str(scale.encounters), "--filled")
    with Stage(folder / "mailboxes", *arguments, platforms=(Platform.MICROSOFT,)) as stage:
        cases.say(f"made: {stage.story}")
        results.organisation = dict(stage.story)
        results.add(*_polls(stage, scale))
        results.add(cases.changed_pass(stage, scale))
    return results


def _polls(stage: Stage, scale: Scale) -> list[Case]:
    """Carried together and one by one, near and far; in turn, so that both meet the same noise."""
    accounts = scale.accounts
    far = f"answers after {FAR_SECONDS * 1000:.0f} ms"
    found = [
        Case("idle", "idle poll", least=least.idle(accounts)),
        Case("plain", "idle poll, one request each", least=least.idle(accounts)),
        Case("idle_far", f"idle poll, {far}", least=least.idle(accounts)),
        Case("plain_far", f"idle poll, one request each, {far}", least=least.idle(accounts)),
    ]
    for number in range(scale.idle_runs):
        for case in found:
            seconds = FAR_SECONDS if case.key.endswith("far") else 0.0
            stage.world.answer_after(Platform.MICROSOFT, seconds)
            together = 1 if case.key.startswith("plain") else 20
            stage.configure(limits={"microsoft_batch_size": together})
            stage.let_time_pass()
            cases.note(case, stage.measure("poll"), quiet=number > 0)
            if case.any.outcome["marked"]:
                raise BenchError(f"idle mailboxes have work: {case.any.outcome}")
    stage.world.answer_after(Platform.MICROSOFT, 0.0)
    stage.configure()
    return found


def section(results: Results) -> str:
    """What was measured, with its own date: it may be newer than the rest of the page."""
    found = results.cases
    near = median_wall(found["plain"]) / median_wall(found["idle"])
    far = median_wall(found["plain_far"]) / median_wall(found["idle_far"])
    written = sum(results.organisation["written"].values())
    batches = found["idle"].any.batches
    verdict = "so polls travel together" if min(near, far) > 1 else "which gains nothing here"
    lines = [
        f"- {case.title}: {case.least.because}."
        for key in ("idle", "pass", "fill")
        if (case := found[key]).least is not None
    ]
    counts = [
        f"- **{found[key].title}**: "
        + ", ".join(f"`{kind}` {n:,}" for kind, n in found[key].any.requests.items())
        + "."
        for key in OWN
    ]
    parts = [
        HEADING,
        f"""Measured on {results.date} on the machine above (load {results.load_before:.1f} before
the start) against the sandbox's Graph server, with {results.scale.accounts:,} mailboxes filled as
above, less what lies before the window, which no view of Graph's shows; {written:,} mirrors and
blocks were in step. Requests count each part of a batch, as Graph's limits do; in an idle poll
{batches} requests carried all of them. One token serves the whole tenant.""",
        table(HEADINGS, [row(found[key]) for key in OWN]),
        f"""Carried together, up to twenty in a request, a round of polls is {near:.1f} times as
fast as with plain concurrent requests (`limits.microsoft_batch_size: 1`), and {far:.1f} times where
an answer takes {FAR_SECONDS * 1000:.0f} ms: {verdict}. Both begin with 16 under way at
once and go up from there while nothing is refused. A first fill lists each calendar twice: the
window itself, and a delta for the cursor.""",
        "The least, by the same rules:",
        "\n".join(lines),
        "Requests by kind, of the last repetition:",
        "\n".join(counts),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"
