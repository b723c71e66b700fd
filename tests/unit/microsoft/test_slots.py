"""How many requests are under way at once, for a mailbox and in all."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_sync.adapters.microsoft.slots import MAILBOX_AT_ONCE, AdaptiveLimit, Slots
from calendar_sync.core.errors import NotFound, RateLimited, TransientError


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(), 30)

    asyncio.run(bounded())


async def turns(number: int = 20) -> None:
    """Everybody else gets so many turns."""
    for _ in range(number):
        await asyncio.sleep(0)


async def use(slots: Slots, error: Exception | None = None) -> None:
    """One request to a mailbox that nobody else asks."""
    with contextlib.suppress(RateLimited, NotFound, TransientError):
        async with slots.of(str(uuid4())):
            await asyncio.sleep(0)
            if error is not None:
                raise error


class Gate:
    """Requests that wait inside their places until they are let go."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.inside = 0
        self._open = asyncio.Event()

    def send(self, count: int = 1) -> asyncio.Task[None]:
        return asyncio.create_task(self._request(count))

    async def _request(self, count: int) -> None:
        async with self.limit.slots(count):
            self.inside += count
            try:
                await self._open.wait()
            finally:
                self.inside -= count

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


def test_who_waits_longest_is_served_first_however_much_is_asked_for() -> None:
    async def work() -> None:
        limit, served = AdaptiveLimit(4), list[int]()

        async def request(number: int) -> None:
            async with limit.slots(1 + number % 4):
                served.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*[request(number) for number in range(16)])
        assert served == list(range(16))

    run(work)


def test_many_places_at_once_count_as_many() -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(10))
        waiting = [gate.send(4) for _ in range(5)]
        await turns()
        assert gate.inside == 8
        gate.open()
        await asyncio.gather(*waiting)

    run(work)


def test_more_places_than_there_are_go_alone() -> None:
    async def work() -> None:
        gate, late = (Gate(limit) for limit in [AdaptiveLimit(4)] * 2)
        waiting = [gate.send(20), late.send(1), late.send(20)]
        await turns()
        assert (gate.inside, late.inside) == (20, 0)
        gate.open()
        await turns()
        assert late.inside == 1
        late.open()
        await asyncio.gather(*waiting)

    run(work)


@pytest.mark.parametrize(("most", "begin"), [(1, 1), (8, 8), (16, 16), (64, 16)])
def test_it_begins_with_sixteen_at_most(most: int, begin: int) -> None:
    assert AdaptiveLimit(most).now == begin


def test_a_burst_of_refusals_halves_once() -> None:
    async def work() -> None:
        slots = Slots(16)
        await asyncio.gather(*[use(slots, RateLimited()) for _ in range(16)])
        assert slots.everybody.now == 8
        await asyncio.gather(*[use(slots, RateLimited()) for _ in range(8)])
        assert slots.everybody.now == 4

    run(work)


def test_refusals_one_after_the_other_leave_one_place() -> None:
    async def work() -> None:
        slots, seen = Slots(16), list[int]()
        for _ in range(7):
            await use(slots, RateLimited())
            seen.append(slots.everybody.now)
        assert seen == [8, 4, 2, 1, 1, 1, 1]

    run(work)


def test_successes_bring_the_places_back_slowly_and_never_more() -> None:
    async def work() -> None:
        slots = Slots(8)
        await use(slots, RateLimited())
        assert slots.everybody.now == 4
        for _ in range(3):
            await use(slots)
        assert slots.everybody.now == 4
        for _ in range(2):
            await use(slots)
        assert slots.everybody.now == 5
        for _ in range(500):
            await use(slots)
        assert slots.everybody.now == 8

    run(work)


def test_parts_that_were_granted_count_each_and_one_refusal_for_all() -> None:
    limit = AdaptiveLimit(16)
    limit.learn(granted=10, refused=3, since=limit.refusals)
    assert limit.now == 8
    limit.learn(granted=0, refused=5, since=0)
    assert limit.now == 8
    limit.learn(granted=20, refused=0, since=limit.refusals)
    assert limit.now == 10


@pytest.mark.parametrize("error", [NotFound(), TransientError()], ids=lambda error: error.code)
def test_other_errors_change_nothing(error: Exception) -> None:
    async def work() -> None:
        slots = Slots(8)
        await use(slots, RateLimited())
        for _ in range(50):
            await use(slots, error)
        assert slots.everybody.now == 4

    run(work)


def test_a_bug_inside_gives_the_place_back() -> None:
    async def work() -> None:
        slots = Slots(1)
        with pytest.raises(ZeroDivisionError):
            await use(slots, ZeroDivisionError())
        await use(slots)

    run(work)


def test_after_a_refusal_those_under_way_end_before_others_begin() -> None:
    async def work() -> None:
        slots = Slots(4)
        gate, late = Gate(slots.everybody), Gate(slots.everybody)
        first = [gate.send() for _ in range(3)]
        await turns()
        await use(slots, RateLimited())
        assert slots.everybody.now == 2
        waiting = [late.send() for _ in range(4)]
        await turns()
        assert (gate.inside, late.inside) == (3, 0)
        for inside in ((2, 0), (1, 1)):
            first.pop().cancel()
            await turns()
            assert (gate.inside, late.inside) == inside
        gate.open()
        late.open()
        await asyncio.gather(*first, *waiting)

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
        await gate.send()

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
        await gate.send()

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
        await gate.send()

    run(work)


def test_a_cancelled_request_for_many_places_delays_no_other() -> None:
    async def work() -> None:
        gate = Gate(AdaptiveLimit(4))
        first, large, small = gate.send(2), gate.send(4), gate.send(2)
        await turns()
        assert gate.inside == 2
        large.cancel()
        await turns()
        assert gate.inside == 4
        gate.open()
        await asyncio.gather(first, small)

    run(work)


STEPS = st.tuples(
    st.sampled_from(["send", "send", "send", "succeed", "refuse", "fail", "cancel", "turn"]),
    st.integers(0, 30),
)


@settings(max_examples=500)
@given(st.integers(1, 6), st.lists(STEPS, max_size=60))
def test_whatever_happens_no_place_is_lost_and_none_is_given_twice(
    most: int, steps: list[tuple[str, int]]
) -> None:
    async def work() -> None:
        limit = AdaptiveLimit(most)
        tasks: list[asyncio.Task[None]] = []
        ends: dict[asyncio.Task[None], asyncio.Future[str]] = {}
        inside: list[int] = []
        loop = asyncio.get_running_loop()

        async def request(count: int, end: asyncio.Future[str]) -> None:
            async with limit.slots(count):
                since = limit.refusals
                inside.append(count)
                assert sum(inside) <= most or inside == [count]
                try:
                    how = await end
                finally:
                    inside.remove(count)
                refused = how == "refuse"
                limit.learn(granted=how == "succeed", refused=refused, since=since)

        for step, number in steps:
            living = [task for task in tasks if not task.done()]
            if step == "send":
                end: asyncio.Future[str] = loop.create_future()
                task = asyncio.create_task(request(1 + number % 4, end))
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
                end.set_result("fail")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [
            found for found in results if found and not isinstance(found, asyncio.CancelledError)
        ]
        # Everybody has left: all places that there are now can be had at once.
        gate = Gate(limit)
        rest = [gate.send() for _ in range(most + 1)]
        await turns()
        assert gate.inside == limit.now
        gate.open()
        await asyncio.gather(*rest)

    run(work)
