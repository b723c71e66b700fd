"""The user mapping as a file: which Welkin user belongs to which account.

CSV with a header; columns `welkin_user_id`, `email`, `platform`, `account`, `enabled`,
`direction`. Either the id or the e-mail address names the Welkin user. A file with a mistake
changes nothing: every mistake is named with its line and column.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from calendar_sync.errors import ConfigurationError
from calendar_sync.model import Direction, MappedUser, Platform

COLUMNS = ("welkin_user_id", "email", "platform", "account", "enabled", "direction")
REQUIRED = frozenset({"platform", "account"})
_YES = frozenset({"true", "yes", "1", ""})
_NO = frozenset({"false", "no", "0"})
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHOWN = 20


@dataclass
class _Import:
    staff: Mapping[str, str]
    users: list[MappedUser] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    by_user: dict[tuple[str, Platform], int] = field(default_factory=dict)
    by_account: dict[tuple[str, Platform], str] = field(default_factory=dict)

    def add(self, line: int, row: Mapping[str, str | None]) -> None:
        """One row of the file; problems are collected, not raised."""
        before = len(self.problems)
        values = {key: (value or "").strip() for key, value in row.items() if key}
        user_id = self._user(line, values)
        platform = self._platform(line, values.get("platform", ""))
        account = self._account(line, values.get("account", ""), platform)
        enabled = self._enabled(line, values.get("enabled", ""))
        direction = self._direction(line, values.get("direction", ""))
        if len(self.problems) > before or platform is None:
            return
        self._once(line, user_id, platform, account)
        self.users.append(MappedUser(user_id, platform, account, enabled, direction))

    def _problem(self, line: int, column: str, text: str) -> None:
        self.problems.append(f"line {line}, {column}: {text}")

    def _user(self, line: int, values: Mapping[str, str]) -> str:
        if user_id := values.get("welkin_user_id", ""):
            return user_id
        email = values.get("email", "").lower()
        if not email:
            self._problem(line, "welkin_user_id", "an id or an e-mail address is needed")
        elif email not in self.staff:
            self._problem(line, "email", f"no Welkin user has the address {email}")
        return self.staff.get(email, "")

    def _platform(self, line: int, value: str) -> Platform | None:
        try:
            return Platform(value.lower())
        except ValueError:
            known = ", ".join(platform.value for platform in Platform)
            self._problem(line, "platform", f"{value or 'nothing'} is not one of {known}")
            return None

    def _account(self, line: int, value: str, platform: Platform | None) -> str:
        name, _, domain = value.partition("@")
        address = name and domain and "@" not in domain and " " not in value
        # Microsoft's object ids stay the same when people are renamed.
        by_id = platform is Platform.MICROSOFT and _OBJECT_ID.fullmatch(value)
        if not address and not by_id:
            self._problem(line, "account", f"{value or 'nothing'} is not an e-mail address")
        return value.lower()

    def _enabled(self, line: int, value: str) -> bool:
        if value.lower() not in _YES | _NO:
            self._problem(line, "enabled", f"{value} is not true or false")
        return value.lower() in _YES

    def _direction(self, line: int, value: str) -> Direction | None:
        if not value:
            return None
        try:
            return Direction(value.lower())
        except ValueError:
            known = ", ".join(direction.value for direction in Direction)
            self._problem(line, "direction", f"{value} is not one of {known}")
            return None

    def _once(self, line: int, user_id: str, platform: Platform, account: str) -> None:
        if (first := self.by_user.setdefault((user_id, platform), line)) != line:
            self._problem(
                line, "welkin_user_id", f"{user_id} is mapped on {platform} in line {first} already"
            )
        other = self.by_account.setdefault((account, platform), user_id)
        if other != user_id:
            self._problem(line, "account", f"{account} is mapped to {other} and to {user_id}")


def read_csv(text: str, staff: Mapping[str, str] | None = None) -> list[MappedUser]:
    """The rows of a mapping file. `staff` gives Welkin user ids by lower-case e-mail address.

    Raises:
        ConfigurationError: names line and column of each mistake.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    result = _Import({} if staff is None else staff)
    try:
        names = set(reader.fieldnames or ())
        for unknown in sorted(names - set(COLUMNS)):
            result.problems.append(f"line 1, {unknown}: unknown column")
        result.problems += [f"line 1, {name}: missing column" for name in sorted(REQUIRED - names)]
        if not result.problems:
            for row in reader:
                if None in row:
                    result.problems.append(f"line {reader.line_num}: too many values")
                    continue
                result.add(reader.line_num, row)
    except csv.Error as error:
        result.problems.append(f"line {reader.line_num}: {error}")
    if result.problems:
        shown = result.problems[:_SHOWN]
        if more := len(result.problems) - len(shown):
            shown.append(f"and {more} more")
        raise ConfigurationError(detail="mapping: " + "; ".join(shown))
    return result.users


def write_csv(users: Iterable[MappedUser], emails: Mapping[str, str] | None = None) -> str:
    """The file that `read_csv` reads. `emails` gives addresses by Welkin user id."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for user in users:
        writer.writerow(
            [
                user.user_id,
                (emails or {}).get(user.user_id, ""),
                user.platform.value,
                user.account,
                str(user.enabled).lower(),
                user.direction.value if user.direction else "",
            ]
        )
    return out.getvalue()
