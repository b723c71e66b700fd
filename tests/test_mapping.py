"""The user mapping as a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.errors import ConfigurationError
from calendar_sync.mapping import read_csv, write_csv
from calendar_sync.model import Direction, MappedUser, Platform

HEADER = "welkin_user_id,email,platform,account,enabled,direction\n"
STAFF = {"dana@example.org": "u1", "ruben@example.org": "u2"}


def problems(text: str, staff: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_csv(text, STAFF if staff is None else staff)
    return caught.value.detail


def test_rows_become_users() -> None:
    text = HEADER + (
        "u1,,google,Dana@Example.org,true,\n"
        ",RUBEN@example.org,Google,ruben@example.org,no,welkin_to_calendar\n"
        "u1,,microsoft,dana@example.org,,\n"
    )
    assert read_csv(text, STAFF) == [
        MappedUser("u1", Platform.GOOGLE, "dana@example.org"),
        MappedUser("u2", Platform.GOOGLE, "ruben@example.org", False, Direction.WELKIN_TO_CALENDAR),
        MappedUser("u1", Platform.MICROSOFT, "dana@example.org"),
    ]


@pytest.mark.parametrize("start", ["\ufeff", ""])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_files_of_spreadsheets_are_read(start: str, ending: str) -> None:
    text = start + (HEADER + "u1,,google,dana@example.org,true,\n").replace("\n", ending)
    assert [user.user_id for user in read_csv(text)] == ["u1"]


def test_optional_columns_may_be_missing() -> None:
    assert read_csv("welkin_user_id,platform,account\nu1,google,a@b.example\n") == [
        MappedUser("u1", Platform.GOOGLE, "a@b.example")
    ]


@pytest.mark.parametrize(
    ("row", "places"),
    [
        ("u1,,yahoo,a@b.example,true,", ["line 2, platform", "yahoo"]),
        ("u1,,,a@b.example,true,", ["line 2, platform"]),
        ("u1,,google,nobody,true,", ["line 2, account"]),
        ("u1,,google,a b@c.example,true,", ["line 2, account"]),
        ("u1,,google,a@b@c.example,true,", ["line 2, account"]),
        ("u1,,google,,true,", ["line 2, account"]),
        ("u1,,google,a@b.example,perhaps,", ["line 2, enabled"]),
        ("u1,,google,a@b.example,true,upwards", ["line 2, direction", "upwards"]),
        (",,google,a@b.example,true,", ["line 2, welkin_user_id"]),
        (",who@example.org,google,a@b.example,true,", ["line 2, email", "who@example.org"]),
        ("u1,,google,a@b.example,true,,more", ["line 2", "too many"]),
    ],
)
def test_a_mistake_is_named_with_line_and_column(row: str, places: list[str]) -> None:
    found = problems(HEADER + row + "\n")
    assert all(place in found for place in places)


def test_all_mistakes_are_named_but_not_without_end() -> None:
    found = problems(HEADER + "u1,,yahoo,nobody,maybe,up\n" * 30)
    assert found.count("line 2") == 4
    assert "and 100 more" in found


def test_a_user_twice_and_an_account_twice() -> None:
    one = "u1,,google,a@b.example,true,\n"
    assert "line 3" in problems(HEADER + one + "u1,,google,c@b.example,true,\n")
    found = problems(HEADER + one + "u2,,google,A@B.example,true,\n")
    assert "u1" in found
    assert "u2" in found
    assert len(read_csv(HEADER + one + "u1,,microsoft,a@b.example,true,\n")) == 2


def test_wrong_and_missing_columns() -> None:
    assert "colour: unknown column" in problems("platform,account,colour\n")
    assert "platform: missing column" in problems("account\nx\n")
    assert "missing column" in problems("")
    assert "line" in problems(HEADER + 'u1,,google,"a@b.example,true,\n')


def test_an_empty_staff_list_knows_nobody() -> None:
    assert "email" in problems(HEADER + ",dana@example.org,google,a@b.example,,\n", {})


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)
users = st.builds(
    MappedUser,
    words,
    st.sampled_from(Platform),
    st.from_regex(r"\A[a-z0-9.+_-]{1,20}@[a-z0-9-]{1,20}\.example\Z"),
    st.booleans(),
    st.one_of(st.none(), st.sampled_from(Direction)),
)


@given(
    st.lists(
        users, unique_by=(lambda u: (u.user_id, u.platform), lambda u: (u.account, u.platform))
    )
)
def test_what_is_written_is_read_back(found: list[MappedUser]) -> None:
    assert read_csv(write_csv(found, {"u1": "dana@example.org"})) == found


def test_a_mailbox_of_microsoft_may_be_named_by_its_object_id() -> None:
    guid = "9F1D2C3B-0000-4000-8000-0123456789AB"
    head = "welkin_user_id,platform,account\n"
    (found,) = read_csv(f"{head}u1,microsoft,{guid}\n")
    assert found.account == guid.lower()
    with pytest.raises(ConfigurationError, match="not an e-mail address"):
        read_csv(f"{head}u1,google,{guid}\n")
