"""The checks of every row of the user mapping, whatever file or command it comes from.

Either the id or the e-mail address names the Welkin user. Problems are collected with the place
of the value that they concern, and refused together.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from calendar_sync.config.calendars import OWN
from calendar_sync.config.profiles import refusal
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, MappedUser, Platform, WelkinUser
from calendar_sync.core.plurals import plural

COLUMNS = (
    "welkin_user_id",
    "email",
    "platform",
    "account",
    "enabled",
    "direction",
    "profile",
    "busy_calendars",
    "mirrors_calendar",
)
#: Columns that came later: files without them change nothing there.
LATER = frozenset({"profile", "busy_calendars", "mirrors_calendar"})
REQUIRED = frozenset({"platform", "account"})
# What the state database holds.
LONGEST_ID, LONGEST_ACCOUNT, LONGEST_CALENDAR = 64, 320, 255
#: Further calendars of one person: each is polled.
MOST_CALENDARS = 10
Place = Callable[[str], str]
_YES = frozenset({"true", "yes", "1", ""})
_NO = frozenset({"false", "no", "0"})
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# So many mistakes stand in one sentence, and so many a line each.
_SHOWN, _LISTED = 20, 1000
SEVERAL = ""


@dataclass
class Rows:
    """The rows read so far, and what is wrong with them.

    `staff` gives Welkin user ids by lower-case e-mail address, `SEVERAL` for an address of more
    than one user. A place says where the value of a column stands.
    """

    staff: Mapping[str, str]
    users: list[MappedUser] = field(default_factory=list)
    #: The first mistakes, in words; `wrong` counts all of them.
    problems: list[str] = field(default_factory=list)
    wrong: int = 0
    _by_user: dict[tuple[str, Platform], Place] = field(default_factory=dict)
    _by_account: dict[tuple[str, Platform], str] = field(default_factory=dict)

    def add(
        self, place: Place, values: Mapping[str, str], unsaid: frozenset[str] = frozenset()
    ) -> None:
        """One row, which says nothing of the columns `unsaid`."""
        before = self.wrong
        user_id = self._user(place, values)
        platform = self._platform(place, values.get("platform", ""))
        account = self._account(place, values.get("account", ""), platform)
        enabled = self._enabled(place, values.get("enabled", ""))
        direction = self._direction(place, values.get("direction", ""))
        profile = self._profile(place, values.get("profile", ""))
        busy = self._calendars(place, "busy_calendars", values, MOST_CALENDARS)
        if OWN in busy:
            self.problem(place, "busy_calendars", "`own` is only for mirrors_calendar")
        mirrors = self._calendars(place, "mirrors_calendar", values, 1)
        if self.wrong > before or platform is None:
            return
        self._once(place, user_id, platform, account)
        row = MappedUser(
            user_id,
            platform,
            account,
            enabled,
            direction,
            profile=profile,
            busy_calendars=busy,
            mirrors_calendar=mirrors[0] if mirrors else "",
            unsaid=unsaid,
        )
        self.users.append(row)

    def refuse(self, name: str) -> None:
        """End here when something is wrong.

        Raises:
            ConfigurationError: names the file and the place of each mistake.
        """
        if not self.problems:
            return
        shown, mistakes = self.problems[:_SHOWN], [f"{name}: {one}" for one in self.problems]
        if more := self.wrong - len(shown):
            shown.append(f"and {more} more")
        if more := self.wrong - len(mistakes):
            mistakes.append(f"{name}: and {more} more")
        raise ConfigurationError(detail=f"{name}: " + "; ".join(shown), mistakes=mistakes)

    def problem(self, place: Place, column: str, text: str) -> None:
        """Note a mistake with its place in the file."""
        self.wrong += 1
        if len(self.problems) < _LISTED:
            self.problems.append(f"{place(column)}: {text}")

    def _user(self, place: Place, values: Mapping[str, str]) -> str:
        if user_id := values.get("welkin_user_id", ""):
            if len(user_id) > LONGEST_ID or not user_id.isprintable():
                self.problem(place, "welkin_user_id", "this is not a Welkin id")
            return user_id
        email = values.get("email", "").lower()
        if not email:
            self.problem(place, "welkin_user_id", "an id or an e-mail address is required")
        elif email not in self.staff:
            self.problem(place, "email", f"no Welkin user has the address {_short(email)}")
        elif self.staff[email] == SEVERAL:
            self.problem(
                place, "email", f"several Welkin users have the address {email}: use the id"
            )
        return self.staff.get(email, "")

    def _platform(self, place: Place, value: str) -> Platform | None:
        try:
            return Platform(value.lower())
        except ValueError:
            known = ", ".join(platform.value for platform in Platform)
            self.problem(place, "platform", f"{_short(value)} is not one of {known}")
            return None

    def _account(self, place: Place, value: str, platform: Platform | None) -> str:
        name, _, domain = value.partition("@")
        address = name and domain and "@" not in domain and value.isprintable() and " " not in value
        # Microsoft's object ids stay the same when people are renamed.
        by_id = platform is Platform.MICROSOFT and _OBJECT_ID.fullmatch(value)
        if len(value) > LONGEST_ACCOUNT or not (address or by_id):
            self.problem(place, "account", f"{_short(value)} is not an e-mail address")
        return value.lower()

    def _enabled(self, place: Place, value: str) -> bool:
        if value.lower() not in _YES | _NO:
            self.problem(place, "enabled", f"{_short(value)} is not true or false")
        return value.lower() in _YES

    def _direction(self, place: Place, value: str) -> Direction | None:
        if not value:
            return None
        try:
            return Direction(value.lower())
        except ValueError:
            known = ", ".join(direction.value for direction in Direction)
            self.problem(place, "direction", f"{_short(value)} is not one of {known}")
            return None

    def _profile(self, place: Place, value: str) -> str:
        name = value.lower()
        if name and (said := refusal(name)):
            self.problem(place, "profile", f"{_short(value)} is no name of a profile: {said}")
        return name

    def _calendars(
        self, place: Place, column: str, values: Mapping[str, str], most: int
    ) -> tuple[str, ...]:
        """Ids of calendars, separated by spaces."""
        found = tuple(dict.fromkeys(values.get(column, "").split()))
        if len(found) > most:
            self.problem(place, column, f"at most {plural(most, 'calendar')} can be given")
        for name in found:
            if len(name) > LONGEST_CALENDAR or not name.isprintable():
                self.problem(place, column, f"{_short(name)} is no id of a calendar")
        return found

    def _once(self, place: Place, user_id: str, platform: Platform, account: str) -> None:
        first = self._by_user.setdefault((user_id, platform), place)
        if first is not place:
            self.problem(
                place,
                "welkin_user_id",
                f"{user_id} is mapped on {platform} in {first('')} already",
            )
        other = self._by_account.setdefault((account, platform), user_id)
        if other != user_id:
            self.problem(place, "account", f"{account} is mapped to {other} and to {user_id}")


def _short(value: str) -> str:
    return value[:LONGEST_ACCOUNT] or "nothing"


def read_row(values: Mapping[str, str], staff: Mapping[str, str]) -> MappedUser:
    """A single row, as a command's options give it.

    Raises:
        ConfigurationError: names each column that is wrong.
    """
    rows = Rows(staff)
    rows.add(lambda column: column, values)
    rows.refuse("mapping")
    return rows.users[0]


def staff_by_email(users: Iterable[WelkinUser]) -> dict[str, str]:
    """Ids of Welkin users by lower-case address; active users take precedence."""
    found: dict[str, WelkinUser] = {}
    several: set[str] = set()
    for user in users:
        email = user.email.lower()
        other = found.setdefault(email, user)
        if other is user:
            continue
        if user.active and not other.active:
            found[email] = user
            several.discard(email)
        elif user.active == other.active:
            several.add(email)
    return {
        email: SEVERAL if email in several else user.id for email, user in found.items() if email
    }
