"""Doing several things at once without leaving any of them behind."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")
Value = TypeVar("Value")


async def both(
    first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Two at once; when one fails, the other is cancelled before the error goes on."""
    tasks = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await _stop(tasks)
        raise


async def together(
    coroutines: Iterable[Coroutine[Any, Any, Value]], at_most: int = 8
) -> list[Value]:
    """All of them, so many at once, in their order; the first error cancels the rest."""
    gate = asyncio.Semaphore(at_most)

    async def one(coroutine: Coroutine[Any, Any, Value]) -> Value:
        async with gate:
            return await coroutine

    waiting = list(coroutines)
    tasks = [asyncio.ensure_future(one(coroutine)) for coroutine in waiting]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await _stop(tasks)
        for coroutine in waiting:
            coroutine.close()
        raise


async def _stop(tasks: Iterable[asyncio.Future[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
