"""The user mapping as a file, CSV or YAML."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.config.mapping import Format, MappingFile, read_mapping, write_mapping
from calendar_sync.config.mapping.rows import staff_by_email
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, MappedUser, Platform, WelkinUser

HEADER = "welkin_user_id,email,platform,account,enabled,direction\n"
STAFF = {"dana@example.org": "u1", "ruben@example.org": "u2"}


def read_csv(text: str, staff: dict[str, str] | None = None) -> list[MappedUser]:
    return read_mapping(text.encode(), "m.csv", staff).users


def read_yaml(text: str, staff: dict[str, str] | None = None) -> MappingFile:
    return read_mapping(text.encode(), "m.yaml", staff)


def problems(text: str | bytes, staff: dict[str, str] | None = None, name: str = "m.csv") -> str:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(ConfigurationError) as caught:
        read_mapping(content, name, STAFF if staff is None else staff)
    assert caught.value.detail.startswith(f"{name}: ")
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
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
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
    assert "account: given twice" in problems("platform,account,account\n")
    assert read_csv(" Welkin_User_ID ,platform,ACCOUNT\nu1,google,a@b.example\n")


def test_a_quote_that_never_ends_is_named_where_it_begins() -> None:
    good = 'u0,,google,"z@b.example",true,\n'
    text = HEADER + good + 'u1,,google,"a@b.example,true,\n' + "u2,,google,c@b.example,true,\n" * 9
    assert "line 3, column 12: the quote" in problems(text)
    assert "line 3" in problems(HEADER + good + 'u1,,google,"a"b@c.example,true,\n')


@pytest.mark.parametrize(
    ("separator", "word"), [(";", "semicolons"), ("\t", "tabs")], ids=["semicolon", "tab"]
)
def test_a_wrong_separator_is_named(separator: str, word: str) -> None:
    found = problems((HEADER + "u1,,google,a@b.example,true,\n").replace(",", separator))
    assert f"line 1: the values are separated by {word}" in found


@pytest.mark.parametrize("name", ["m.csv", "m.yaml"])
def test_what_is_no_utf_8_is_named(name: str) -> None:
    text = "platform: g\nü: x\n"
    assert "UTF-16" in problems(text.encode("utf-16"), name=name)
    assert "line 1, column 2: a NUL" in problems("platform".encode("utf-16-le"), name=name)
    assert "line 2, column 1: the text is not UTF-8" in problems(text.encode("latin-1"), name=name)
    assert "line 2, column 3: a NUL" in problems(b"a\nbc\0d", name=name)


def test_empty_lines_of_spreadsheets_are_left_out() -> None:
    text = HEADER + ",,,,,\nu1,,google,a@b.example,true,\n\n , ,,,,\n"
    assert [user.user_id for user in read_csv(text)] == ["u1"]


def test_a_value_over_two_lines_does_not_move_the_numbers_of_others() -> None:
    text = HEADER + '"u\n1",,google,a@b.example,true,\nu2,,yahoo,c@b.example,true,\n'
    found = problems(text)
    assert "line 2, welkin_user_id" in found
    assert "line 4, platform" in found


def test_what_the_database_cannot_hold_is_refused() -> None:
    assert "line 2, welkin_user_id" in problems(HEADER + "u" * 65 + ",,google,a@b.example,,\n")
    assert "line 2, account" in problems(HEADER + "u1,,google,a@" + "b" * 320 + ",,\n")


def test_an_address_of_two_users_names_neither() -> None:
    def user(user_id: str, email: str, *, active: bool = True) -> WelkinUser:
        return WelkinUser(user_id, email, None, active)

    staff = staff_by_email(
        [
            user("u1", "a@b.example"),
            user("u2", "A@b.example"),
            user("u3", "c@b.example", active=False),
            user("u4", "c@b.example"),
            user("u5", ""),
        ]
    )
    assert "several" in problems(HEADER + ",a@b.example,google,a@b.example,,\n", staff)
    [found] = read_csv(HEADER + ",c@b.example,google,a@b.example,,\n", staff)
    assert found.user_id == "u4"
    assert "" not in staff


# --- YAML ---------------------------------------------------------------------------------------

ROWS = """
- welkin_user_id: u1
  platform: google
  account: Dana@Example.org
- {email: RUBEN@example.org, platform: Google, account: ruben@example.org, enabled: no,
   direction: welkin_to_calendar}
- welkin_user_id: "0123"
  email:
  platform: microsoft
  account: dana@example.org
  enabled: true
  direction: null
"""


def test_rows_of_yaml_are_those_of_csv() -> None:
    expected = [
        MappedUser("u1", Platform.GOOGLE, "dana@example.org"),
        MappedUser("u2", Platform.GOOGLE, "ruben@example.org", False, Direction.WELKIN_TO_CALENDAR),
        MappedUser("0123", Platform.MICROSOFT, "dana@example.org"),
    ]
    assert read_yaml(ROWS, STAFF) == MappingFile(expected)
    within = "revision: 7\nusers:" + ROWS
    assert read_yaml(within, STAFF) == MappingFile(expected, 7)
    assert read_mapping(within.encode(), "m.YML", STAFF).based_on == 7
    assert read_yaml("users: []") == MappingFile([])


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("- {platform: yahoo, welkin_user_id: u1}", ["line 1, column 4", "platform"]),
        ("- welkin_user_id: 0123\n  platform: google", ["line 1, column 3", "quotes"]),
        ("users:\n- welkin_user_id: u1\n  account: x", ["line 3, column 3, account"]),
        ("- welkin_user_id: u1\n  colour: red", ["line 2, column 3, colour: unknown"]),
        ("- welkin_user_id: u1\n  welkin_user_id: u2", ["line 2, column 3", "twice"]),
        ("- u1", ["line 1, column 3", "the keys of a user"]),
        ("- platform: [google]", ["line 1, column 3, platform"]),
        ("revision: x\nusers: []", ["line 1, column 1: revision must be a number"]),
        ("users: u1", ["line 1, column 1: a list"]),
        ("user: []", ["line 1, column 1: user is not one of", "a list"]),
        ("", ["line 1: a list"]),
        ("- welkin_user_id: [", ["line 1, column"]),
        ("- a: 'x\n- b", ["line 2, column"]),
        ("- !!python/object:os.system {}", ["line 1, column 3"]),
    ],
)  # fmt: skip
def test_a_mistake_in_yaml_is_named_with_line_and_column(text: str, places: list[str]) -> None:
    found = problems(text, name="m.yaml")
    assert all(place in found for place in places), found


def test_two_rows_of_yaml_that_contradict_each_other() -> None:
    one = "- {welkin_user_id: u1, platform: google, account: a@b.example}\n"
    found = problems(one + one, name="m.yaml")
    assert "line 2, column 4, welkin_user_id: u1 is mapped on google in line 1, column 3" in found
    assert "a@b.example is mapped to u1 and to u2" in problems(
        one + one.replace("u1", "u2"), name="m.yaml"
    )


def test_an_empty_staff_list_matches_no_user() -> None:
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
    for form in Format:
        text = write_mapping(found, form, emails={"u1": "dana@example.org"}, revision=4)
        back = read_mapping(text.encode(), f"m.{form.value}")
        assert back.users == found
        assert back.based_on == (4 if form is Format.YAML else None)


@pytest.mark.parametrize("form", Format)
def test_a_large_file_is_read_in_seconds(form: Format) -> None:
    """20,000 rows here; tests/engine/state/test_mapping.py measures the whole way of 100,000."""
    many = [MappedUser(f"u{n}", Platform.GOOGLE, f"u{n}@b.example") for n in range(20_000)]
    content = write_mapping(many, form).encode()
    begin = time.process_time()
    assert read_mapping(content, f"m.{form.value}").users == many
    # Seen: 0.3 s (CSV), 1.5 s (YAML).
    assert time.process_time() - begin < 6


def test_a_mailbox_of_microsoft_may_be_named_by_its_object_id() -> None:
    guid = "9F1D2C3B-0000-4000-8000-0123456789AB"
    head = "welkin_user_id,platform,account\n"
    (found,) = read_csv(f"{head}u1,microsoft,{guid}\n")
    assert found.account == guid.lower()
    with pytest.raises(ConfigurationError, match="not an e-mail address"):
        read_csv(f"{head}u1,google,{guid}\n")


def test_a_calendar_of_its_own_is_only_for_mirrors() -> None:
    header = "welkin_user_id,platform,account,busy_calendars,mirrors_calendar\n"
    [user] = read_csv(header + "u1,google,dana@example.org,,own\n")
    assert user.mirrors_calendar == "own"
    found = problems(header + "u1,google,dana@example.org,own,\n")
    assert "`own` is only for mirrors_calendar" in found
