"""Settings under the names that they had first."""

from typing import Any

import pytest

from calendar_sync.config.documents import read_yaml
from calendar_sync.config.renames import RENAMED, with_new_names, with_old_names
from calendar_sync.config.settings import Settings, parse
from calendar_sync.core.errors import ConfigurationError


def test_every_old_name_leads_to_a_setting_that_there_is() -> None:
    document = Settings().model_dump(mode="json")
    for new in RENAMED.values():
        found: Any = document
        for name in new.split("."):
            found = found[name]


def test_old_names_mean_what_the_new_ones_mean() -> None:
    document = Settings().model_dump(mode="json")
    old = with_old_names(document)
    assert old != document
    told: list[str] = []
    assert parse(old, warn=told.append) == Settings()
    assert len(told) == len(RENAMED)
    assert "brake.at_least is now called deletion_guard.max_deletions" in "\n".join(told)
    assert with_new_names(document).warnings == ()


@pytest.mark.parametrize("old", RENAMED)
def test_both_names_of_a_setting_are_refused(old: str) -> None:
    new = RENAMED[old]
    section, _, name = old.rpartition(".")
    both = {name: 1, new.rpartition(".")[2]: 1}
    with pytest.raises(ConfigurationError) as caught:
        parse({section: both} if section else both)
    assert old in caught.value.detail
    assert new in caught.value.detail


def test_a_mistake_under_an_old_name_is_found_in_the_file() -> None:
    document = read_yaml("time_zone: UTC\npoll:\n  outside_interval_seconds: 1\n", "settings.yaml")
    with pytest.raises(ConfigurationError) as caught:
        parse(document.value, document.where)
    said = caught.value.detail
    assert "line 3, column 3, polling.off_hours_interval_seconds" in said


def test_in_a_section_of_another_kind_no_name_is_looked_for() -> None:
    with pytest.raises(ConfigurationError, match=r"deletion_guard"):
        parse({"brake": ["at_least"]})
