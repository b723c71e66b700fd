"""The mapping rules, evaluated for the API while it waits."""

import asyncio

from calendar_sync.admin.web import outside
from calendar_sync.admin.web.problems import Problem
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.insight.mapping_rules import Evaluation
from calendar_sync.operations.mapping.rules import Mode, evaluate
from calendar_sync.state import Store


def evaluated(store: Store, mode: Mode, author: str) -> Evaluation:
    """What the rules want, and what of it was stored.

    Raises:
        Problem: Welkin cannot be asked, or the mapping cannot be stored.
    """

    async def work() -> Evaluation:
        async with outside.services(store, own_tokens=True) as services:
            return await evaluate(services, mode, author)

    try:
        return asyncio.run(work())
    except ConfigurationError as error:
        raise Problem(409, error.detail) from None
    except SyncError as error:
        raise Problem(503, f"The mapping rules cannot be evaluated: {error.remedy}.") from None
