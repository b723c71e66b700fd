"""Files that people write, as far as no other test reads them."""

import pytest

from calendar_sync.config.documents import read_yaml
from calendar_sync.core.errors import ConfigurationError


def aliases(depth: int, last: str) -> str:
    """Each line names the one before twice: written out, the last would be 2 ** depth items."""
    lines = [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, depth)]
    return "\n".join(["a0: &a0 {x: 1}", *lines, last, ""])


@pytest.mark.timeout(20)
def test_aliases_of_aliases_are_looked_at_once() -> None:
    value = read_yaml(aliases(60, "b: 1"), "settings.yaml").value
    assert (value["a0"], value["b"], len(value["a59"])) == ({"x": 1}, 1, 2)


@pytest.mark.timeout(20)
def test_a_key_given_twice_is_found_among_them() -> None:
    text = aliases(60, "b: [*a59, {x: 1, y: 2, x: 3}]")
    with pytest.raises(ConfigurationError, match="line 61, column 24: x is given twice"):
        read_yaml(text, "settings.yaml")


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "a: &x {b: {c: *x}}\n", "&x [1, [*x]]\n"])
def test_what_stands_in_itself_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="contains itself"):
        read_yaml(text, "settings.yaml")
