"""How many requests are under way at once, for a mailbox and in all."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.errors import NotFound, RateLimited, TransientError
from calendar_sync.microsoft.slots import MAILBOX_AT_ONCE, AdaptiveLimit, Slots


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(), 30)

    asyncio.run(bounded())


async def turns(number: int = 20) -> None:
    """Everybody else gets so many turns."""
    for _ in range(number):
        await asyncio.sleep(0)


async def use(limit: AdaptiveLimit, error: Exception | None = None) -> None:
    with contextlib.suppress(RateLimited, NotFound, TransientError):
        async with limit.slot():
            await asyncio.sleep(0)
            if error is not None:
                raise error


class Gate:
    """Requests that wait inside their slot until they are let go."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.inside = 0
        self._open = asyncio.Event()

    def send(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._request())

    async def _request(self) -> None:
        async with self.limit.slot():
            self.inside += 1
            try:
                await self._open.wait()
            finally:
                self.inside -= 1

    def open(self) -> None:
        self._open.set()


def test_a_mailbox_has_one_place_less_than_it_is_allowed() -> None:
    assert MAILBOX_AT_ONCE == 3


def test_never_more_than_three_for_a_mailbox_whatever_the_case_of_its_name() -> None:
    async def work() -> None:
        slots, running, most = Slots(64), Counter[str](), Counter[str]()

        async def request(account: str) -> None:
            async with slots.of(account):
                running[account.lower()] += 1
                most[account.lower()] = max(most[account.lower()], running[account.lower()])
                await asyncio.sleep(0)
                running[account.lower()] -= 1

        names = ["dana@example.org", "DANA@example.org", "lee@example.org"]
        await asyncio.gather(*[request(names[i % 3]) for i in range(60)])
        assert most == {"dana@example.org": 3, "lee@example.org": 3}

    run(work)


def test_a_busy_mailbox_takes_no_place_from_the_others() -> None:
    async def work() -> None:
        slots, let_go, served = Slots(4), asyncio.Event(), []

        async def slow() -> None:
            async with slots.of("dana@example.org"):
                await let_go.wait()

        async def quick() -> None:
            async with slots.of("lee@example.org"):
                served.append("lee")

        waiting = [asyncio.create_task(slow()) for _ in range(10)]
        await turns()
        await quick()
        assert served == ["lee"]
        let_go.set()
        await asyncio.gather(*waiting)

    run(work)


@pytest.mark.parametrize("most", [1, 2, 5, 16])
def test_never_more_than_the_limit(most: int) -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(most))
        waiting = [gate.send() for _ in range(40)]
        await turns()
        assert gate.inside == most
        gate.open()
        await asyncio.gather(*waiting)

    run(work)


def test_who_waits_longest_is_served_first() -> None:
    async def work() -> None:
        limit, served = AdaptiveLimit(1), []

        async def request(number: int) -> None:
            async with limit.slot():
                served.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*[request(number) for number in range(10)])
        assert served == list(range(10))

    run(work)


def test_a_burst_of_refusals_halves_once() -> None:
    async def work() -> None:
        limit = AdaptiveLimit(16)
        await asyncio.gather(*[use(limit, RateLimited()) for _ in range(16)])
        assert limit.now == 8
        await asyncio.gather(*[use(limit, RateLimited()) for _ in range(8)])
        assert limit.now == 4

    run(work)


def test_refusals_one_after_the_other_leave_one_place() -> None:
    async def work() -> None:
        limit = AdaptiveLimit(16)
        seen = []
        for _ in range(7):
            await use(limit, RateLimited())
            seen.append(limit.now)
        assert seen == [8, 4, 2, 1, 1, 1, 1]

    run(work)


def test_successes_bring_the_places_back_slowly_and_never_more() -> None:
    async def work() -> None:
        limit = AdaptiveLimit(8)
        await use(limit, RateLimited())
        assert limit.now == 4
        for _ in range(3):
            await use(limit)
        assert limit.now == 4
        for _ in range(2):
            await use(limit)
        assert limit.now == 5
        for _ in range(500):
            await use(limit)
        assert limit.now == 8

    run(work)


@pytest.mark.parametrize("error", [NotFound(), TransientError()], ids=lambda error: error.code)
def test_other_errors_change_nothing(error: Exception) -> None:
    async def work() -> None:
        limit = AdaptiveLimit(8)
        await use(limit, RateLimited())
        for _ in range(50):
            await use(limit, error)
        assert limit.now == 4

    run(work)


def test_a_bug_inside_gives_the_place_back() -> None:
    async def work() -> None:
        limit = AdaptiveLimit(1)
        with pytest.raises(ZeroDivisionError):
            await use(limit, ZeroDivisionError())
        await use(limit)

    run(work)


def test_after_a_refusal_those_under_way_end_before_others_begin() -> None:
    async def work() -> None:
        limit = AdaptiveLimit(4)
        gate = Gate(limit)
        first = [gate.send() for _ in range(3)]
        await turns()
        await use(limit, RateLimited())
        assert limit.now == 2
        late = Gate(limit)
        waiting = [late.send() for _ in range(4)]
        await turns()
        assert (gate.inside, late.inside) == (3, 0)
        first[0].cancel()
        await turns()
        assert (gate.inside, late.inside) == (2, 0)
        first[1].cancel()
        await turns()
        assert (gate.inside, late.inside) == (1, 1)
        gate.open()
        late.open()
        await asyncio.gather(*first, *waiting, return_exceptions=True)

    run(work)


def test_a_cancelled_request_that_waits_leaves_no_trace() -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(1))
        first, second, third = gate.send(), gate.send(), gate.send()
        await turns()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open()
        await asyncio.gather(first, third)
        await use(gate.limit)

    run(work)


def test_a_place_that_comes_free_in_the_moment_of_the_cancellation_is_not_lost() -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(1))
        first, second, third = gate.send(), gate.send(), gate.send()
        await turns()
        # Before `second` hears of its end, `first` leaves and looks for the next in the queue.
        first.cancel()
        second.cancel()
        for ended in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await ended
        await turns()
        assert gate.inside == 1
        gate.open()
        await third
        await use(gate.limit)

    run(work)


def test_a_place_that_was_given_to_a_cancelled_request_goes_to_the_next() -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(1))
        first, second, third = gate.send(), gate.send(), gate.send()
        await turns()
        first.cancel()
        first.add_done_callback(lambda _: second.cancel())
        for ended in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await ended
        await turns()
        assert gate.inside == 1
        gate.open()
        await third
        await use(gate.limit)

    run(work)


STEPS = st.tuples(
    st.sampled_from(["send", "send", "send", "succeed", "refuse", "fail", "cancel", "turn"]),
    st.integers(0, 30),
)


@given(st.integers(1, 6), st.lists(STEPS, max_size=60))
def test_whatever_happens_no_place_is_lost_and_none_is_given_twice(
    most: int, steps: list[tuple[str, int]]
) -> None:
    async def work() -> None:
        limit = AdaptiveLimit(most)
        tasks: list[asyncio.Task[None]] = []
        ends: dict[asyncio.Task[None], asyncio.Future[str]] = {}
        inside = 0
        loop = asyncio.get_running_loop()

        async def request(end: asyncio.Future[str]) -> None:
            nonlocal inside
            async with limit.slot():
                inside += 1
                assert inside <= most
                try:
                    how = await end
                    if how == "refuse":
                        raise RateLimited
                    if how == "fail":
                        raise NotFound
                finally:
                    inside -= 1

        for step, number in steps:
            living = [task for task in tasks if not task.done()]
            if step == "send":
                end: asyncio.Future[str] = loop.create_future()
                task = asyncio.create_task(request(end))
                tasks.append(task)
                ends[task] = end
            elif step == "turn":
                await asyncio.sleep(0)
            elif living:
                task = living[number % len(living)]
                if step == "cancel":
                    task.cancel()
                elif not ends[task].done():
                    ends[task].set_result(step)
            assert 1 <= limit.now <= most
        for end in ends.values():
            if not end.done():
                end.set_result("succeed")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        expected = (RateLimited, NotFound, asyncio.CancelledError)
        assert not [found for found in results if found and not isinstance(found, expected)]
        # Everybody has left: all places that there are now can be had at once.
        gate = Gate(limit)
        rest = [gate.send() for _ in range(most + 1)]
        await turns()
        assert gate.inside == limit.now
        gate.open()
        await asyncio.gather(*rest)

    run(work)
