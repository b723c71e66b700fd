"""What a data engineer would write without this project: one mapped task a user, the provider's
hook, everything listed and compared in memory.

One direction only: visits become events. It keeps no state, so each run lists all again; it knows
no deletion, no move (the old event stays), no conflict, no filter, and recognises an event by its
time. Airflow runs it as it runs any other DAG.
"""

from __future__ import annotations

import csv
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Param, dag, get_current_context, task

if TYPE_CHECKING:
    import httpx

PAST, AHEAD = timedelta(days=30), timedelta(days=365)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=5)},
    params={
        "users": Param(0, type="integer", description="only so many users; 0 for all"),
        "window": Param(False, type="boolean", description="list the window of the sync only"),
    },
)
def hook_calendar_sync() -> None:
    """Users and a token for Welkin first, then every user."""
    sync_calendar.partial(token=welkin_token()).expand(user=users())


@task
def users() -> list[dict[str, str]]:
    """Who is who, from the organisation's mapping."""
    with Path(os.environ["BENCH_MAPPING"]).open(newline="") as file:
        rows = [{"id": r["welkin_user_id"], "account": r["account"]} for r in csv.DictReader(file)]
    return rows[: get_current_context()["params"]["users"] or None]


@task
def welkin_token() -> str:
    """One for all: Welkin blocks a client after 100 token requests in five minutes."""
    connection = BaseHook.get_connection("welkin_default")
    extra = connection.extra_dejson
    with welkin() as client:
        path = f"/{extra['tenant']}/admin/api_clients/{connection.login}"
        answer = client.post(path, json={"secret": connection.password})
        return str(answer.raise_for_status().json()["token"])


@task(map_index_template="{{ account }}")
def sync_calendar(user: dict[str, str], token: str) -> int:
    """Make the events that are missing in one calendar; returns how many."""
    context: Any = get_current_context()
    context["account"] = user["account"]
    now = datetime.now(UTC)
    hook = hook_for(user["account"])
    window = (
        {"time_min": (now - PAST).isoformat(), "time_max": (now + AHEAD).isoformat()}
        if context["params"]["window"]
        else {}
    )
    events = hook.get_events(calendar_id=user["account"], single_events=True, **window)
    taken = {(moment(e["start"]), moment(e["end"])) for e in events}
    with welkin(token) as client:
        visits = appointments(client, user["id"], now - PAST, now + AHEAD)
        known = {e["jsonBody"]["calendarEventId"]: e for e in encounters(client, user["id"])}
    made = 0
    for visit in visits:
        encounter = known.get(visit["id"])
        if encounter is None or "CANCELLED" in (
            visit["eventStatus"],
            encounter["jsonBody"]["status"],
        ):
            continue
        start, end = (
            datetime.fromisoformat(visit[name]) for name in ("startDateTime", "endDateTime")
        )
        if (start, end) not in taken:
            body = {
                "summary": "Busy",
                "visibility": "private",
                "start": {"dateTime": start.isoformat()},
                "end": {"dateTime": end.isoformat()},
            }
            hook.create_event(body, calendar_id=user["account"], send_updates="none")
            made += 1
    return made


def hook_for(account: str) -> Any:
    """The provider's hook acting as one account.

    Only two things are overridden: the delegation, which the provider's Calendar hook lacks, and
    the address, since this Google is a sandbox.
    """
    from airflow.providers.google.suite.hooks.calendar import GoogleCalendarHook
    from google.api_core.client_options import ClientOptions

    class AccountHook(GoogleCalendarHook):
        def get_credentials(self) -> Any:
            credentials: Any = super().get_credentials()
            return credentials.with_subject(account)

        def get_client_options(self, api_endpoint_override: str | None = None) -> Any:
            return ClientOptions(api_endpoint=os.environ["BENCH_GOOGLE"])

    return AccountHook(api_version="v3", gcp_conn_id="google_cloud_default")


def welkin(token: str = "") -> httpx.Client:
    """A client of Welkin's API."""
    import httpx

    connection = BaseHook.get_connection("welkin_default")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    trust = ssl.create_default_context(cafile=connection.extra_dejson["verify"])
    return httpx.Client(base_url=str(connection.host), headers=headers, verify=trust, timeout=30)


def instance() -> str:
    """The first part of Welkin's paths."""
    extra = BaseHook.get_connection("welkin_default").extra_dejson
    return f"/{extra['tenant']}/{extra['instance']}"


def appointments(
    client: httpx.Client, user: str, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """A user's calendar events, page by page, as many a page as Welkin gives."""
    found: list[dict[str, Any]] = []
    number = 0
    while True:
        query = {
            "participantIds": user,
            "from": f"{start:%Y-%m-%dT%H:%M:%S.000Z}",
            "to": f"{end:%Y-%m-%dT%H:%M:%S.000Z}",
            "eventType": "ENCOUNTER",
            "page": str(number),
        }
        answer = client.get(f"{instance()}/calendar/events", params=query).raise_for_status()
        page = answer.json()
        found += page["content"]
        if page["last"]:
            return found
        number += 1


def encounters(client: httpx.Client, user: str) -> list[dict[str, Any]]:
    """A user's encounters, page by page."""
    found: list[dict[str, Any]] = []
    number = 0
    while True:
        path = f"{instance()}/users/{user}/encounters"
        page = client.get(path, params={"page": str(number)}).raise_for_status().json()
        found += page["data"]
        if page["metaInfo"]["lastPage"]:
            return found
        number += 1


def moment(value: dict[str, str]) -> datetime:
    """A start or end of Google's as one moment; days count from midnight, UTC."""
    text = value.get("dateTime") or f"{value['date']}T00:00:00+00:00"
    return datetime.fromisoformat(text).astimezone(UTC)


hook_calendar_sync()
