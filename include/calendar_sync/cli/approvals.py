"""`calendar-sync approve`: what the brake and the caps hold back, and letting it go on."""

from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.environment import NO_KEY, author, close_in_airflow, load_key, open_store
from calendar_sync.cli.output import FAILED, as_json, console, reported, table
from calendar_sync.core.clock import SystemClock
from calendar_sync.operations.approvals import WORDS, grant

STAYS_OPEN = (
    "Airflow's own database cannot be reached from here: what Airflow asks about this under "
    "Required Actions stays open. Whatever is answered there is ignored."
)


def approve(
    digest: Annotated[
        list[str] | None, typer.Argument(help="What to approve; see `status`.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Approve all that waits.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let held actions be carried out, for 24 hours; without a digest, list what waits."""
    grants = bool(digest or everything)
    with reported(), open_store(load_key() if grants else NO_KEY) as store:
        waiting = store.runs.pending()
        if not grants:
            if json:
                as_json([asdict(entry) for entry in waiting])
            else:
                accounts = {(u.user_id, u.platform): u.account for u in store.config.mapping()}
                rows = [
                    (
                        entry.digest,
                        accounts.get((entry.user_id, entry.platform), entry.user_id),
                        entry.platform.value,
                        f"{entry.count} {WORDS.get(entry.reason, entry.reason)}"
                        + (", kept for now" if entry.declined else ""),
                        f"{entry.requested_at:%Y-%m-%d %H:%M}",
                    )
                    for entry in waiting
                ]
                if not rows:
                    console.print("nothing waits for approval")
                    return
                table("Waiting for approval", ("digest", "user", "platform", "what", "since"), rows)
            return
        wanted = list(dict.fromkeys(digest or [entry.digest for entry in waiting]))
        now = SystemClock().now()
        users = {key: grant(store, key, author(), now) for key in wanted}
        granted = [key for key, count in users.items() if count]
        closed = close_in_airflow(granted, author()) if granted else True
        if json:
            as_json({"approved": users, "closed_in_airflow": closed})
        unknown = [key for key, count in users.items() if not count]
        for key in unknown:
            console.print(f"nothing waits under {key}", style="red", markup=False)
        if not closed and not json:
            console.print(STAYS_OPEN, highlight=False, soft_wrap=True)
        if unknown or not wanted:
            raise typer.Exit(FAILED)
        if not json:
            console.print(f"approved for {sum(users.values())} user(s), for 24 hours")
