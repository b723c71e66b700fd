"""The self-test: a marked appointment and a marked event, both ways and back, as a job."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.inputs import AnyPlatform, Text
from calendar_sync.admin.web.jobs import JOBS, Job
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.operations.selftest import (
    Chosen,
    Options,
    Report,
    SelfTest,
    SelfTestStep,
    choose,
)
from calendar_sync.operations.setup.record import note_selftest
from calendar_sync.state import Store
from calendar_sync.sync.runtime import Secrets, open_services

router = APIRouter(route_class=WideRoute)
Opened = Annotated[Store, Depends(store_of)]
#: Seconds that each change may take to reach the other side.
PATIENCE = 120.0


@dataclass
class Shown:
    """How far a test is; `report` once it has ended."""

    account: str
    steps: list[SelfTestStep]
    report: Report | None = None


@router.get("/selftest")
def selftest(request: Request, user: Text = "", platform: AnyPlatform = None) -> Response:
    """The form."""
    return render(request, "selftest.html", user=user, platform=platform)


@router.post("/selftest")
def begin(
    request: Request,
    store: Opened,
    user: Annotated[str, Form(max_length=320)] = "",
    platform: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Begin: part of a page."""
    where = Platform(platform) if platform in set(Platform) else None
    job = JOBS.start(
        "selftest", "a self-test", work(store, user.strip(), where), request.state.viewer.id
    )
    return render(request, "selftest_steps.html", job=job, number=job.id)


@router.get("/selftest/{number}")
def steps(request: Request, number: str) -> Response:
    """How far it is, or how it ended."""
    return render(request, "selftest_steps.html", job=JOBS.find(number, "selftest"), number=number)


def work(store: Store, user: str, platform: Platform | None) -> Callable[[Job], Awaitable[Shown]]:
    """Test one user; without a name a first one who is in step."""

    async def run(job: Job) -> Shown:
        secrets = outside.secrets()
        keyed = Store(store.database, secrets.hmac_key)
        try:
            now, there, faults = SystemClock().now(), secrets.connected, secrets.unusable
            found = choose(keyed, there, user or None, platform, now, faults)
        except ConfigurationError as error:
            raise Problem(422, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None
        return await _test(job, keyed, secrets, found)

    return run


async def _test(job: Job, store: Store, secrets: Secrets, chosen: Chosen) -> Shown:
    revision = store.config.revision()
    run_id = f"page-test-{job.id}"
    options = Options(PATIENCE, False, run_id, f"{run_id}/{os.getpid()}")
    async with open_services(secrets, store.database, revision.settings.limits) as services:
        test = SelfTest(services, revision, chosen, options)
        shown = Shown(chosen.mapped.account, list(test.progress.steps.values()))
        job.result = shown

        def tell(step: SelfTestStep) -> None:
            shown.steps = list(test.progress.steps.values())

        test.tell = tell
        shown.report = await test.run()
        shown.steps = list(shown.report.steps)
        note_selftest(store, shown.report, SystemClock().now())
        return shown
