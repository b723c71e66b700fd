"""Settings of any shape are accepted as a whole or refused by name, and never half understood."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.errors import ConfigurationError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Settings.model_fields, "colour"]), json_values))
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    try:
        found = parse(document)
    except ConfigurationError as error:
        assert error.detail.startswith("settings: ")  # noqa: PT017 - a refusal is one of two ends
        return
    assert "colour" not in document
    assert parse(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    "document",
    [[], "time_zone: UTC", 7, True, {"windows": []}, {"windows": None}, {"windows": 7}],
    ids=str,
)
def test_a_document_or_a_section_of_another_kind_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError):
        parse(document)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"windows": {"mirrors_past_days": "thirty"}}, "windows.mirrors_past_days"),
        ({"windows": {"mirrors_past_days": -1}}, "windows.mirrors_past_days"),
        ({"windows": {"blocks_future_days": 10**9}}, "windows.blocks_future_days"),
        ({"block_time": {"enabled": "perhaps"}}, "block_time.enabled"),
        ({"block_time": {"ignore_external": {"creators": 7}}}, "creators"),
        ({"encounter_types": {"include": {"a": "b"}}}, "encounter_types.include"),
        ({"calendars": {"google": {"busy": 1}}}, "calendars.google.busy"),
        ({"limits": {"max_cycle_seconds": 0}}, "limits.max_cycle_seconds"),
        ({"deletion_guard": {"max_share": "a fifth"}}, "deletion_guard.max_share"),
        ({"mirror_moved": "ignore"}, "mirror_moved"),
        ({1: 2}, "1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_of_the_wrong_type_is_named_by_its_place(
    document: dict[Any, Any], place: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(document)
    assert place in caught.value.detail
