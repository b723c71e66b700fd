"""What `make test` leaves to a release still shows each value."""

from itertools import product

from tests.spread import Shown, cover, third


def shown(**values: str) -> set[Shown]:
    return {((name,), (value,)) for name, value in values.items()}


def test_each_value_is_kept_and_the_platforms_take_turns() -> None:
    pairs = list(product("abcd", ["google", "microsoft"]))
    cases = [shown(kind=kind, platform=platform) for kind, platform in pairs]
    kept = [pairs[number] for number in sorted(cover(cases))]
    assert [kind for kind, _ in kept] == list("abcd")
    assert sorted(platform for _, platform in kept) == ["google"] * 2 + ["microsoft"] * 2


def test_a_combination_that_is_asked_for_is_kept() -> None:
    rows = [("503", "user"), ("503", "item"), ("404", "item"), ("404", "item")]
    cases: list[set[Shown]] = [{(("fault", "where"), row)} for row in rows]
    assert cover(cases) == {0, 1, 2}


def test_each_third_number_and_the_last_are_for_each_run() -> None:
    now = [case.values[0] for case in third(range(1, 9)) if not case.marks]
    assert now == [1, 4, 7, 8]
