"""The section `mapping_rules` of the settings: who belongs in the user mapping, and with what.

Rules are asked in their order, and the first that names a person decides.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from calendar_sync.config.profiles import mistake
from calendar_sync.config.sections import Section
from calendar_sync.core.model import Platform

MOST = 100
#: What a rule goes by; it has exactly one of them.
CONDITIONS = ("group", "org_unit", "welkin_role", "welkin_policy", "email_domain")
#: What only the directory of the calendar system can answer.
OF_DIRECTORY = frozenset({"group", "org_unit"})

Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=320)]


class MappingRule(Section):
    """Who is to be mapped on one calendar system, and with which profile: has one condition."""

    name: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$")
    """Names the rule in reports; each rule has another."""
    platform: Platform
    """The calendar system of the rows."""
    group: Word = ""
    """A group of the directory, nested groups included: its address, or (Microsoft) its id."""
    org_unit: Word = ""
    """Path of an organisational unit, such as /Clinic, with all below it. Google only."""
    welkin_role: Word = ""
    """Name of a security role in Welkin."""
    welkin_policy: Word = ""
    """Name of a security policy in Welkin."""
    email_domain: Word = ""
    """Domain of the address in Welkin, such as example.org."""
    profile: Word = ""
    """Profile of the rows; empty: none."""
    apply: bool = False
    """Add and change rows at once; otherwise they are proposals for a person to accept."""

    @field_validator("email_domain")
    @classmethod
    def _a_domain(cls, value: str) -> str:
        domain = value.removeprefix("@").lower()
        if domain and ("@" in domain or " " in domain or "." not in domain):
            raise ValueError("give a domain, such as example.org")
        return domain

    @field_validator("org_unit")
    @classmethod
    def _a_path(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError("give a path that begins with /, such as /Clinic")
        return value.rstrip("/") or value[:1]

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = [name for name in CONDITIONS if getattr(self, name)]
        if not given:
            raise ValueError(
                f"rule {self.name} has no condition: give it one of {', '.join(CONDITIONS)}"
            )
        if len(given) > 1:
            raise ValueError(f"rule {self.name} has {' and '.join(given)}: give it one of them")
        if self.org_unit and self.platform is not Platform.GOOGLE:
            raise ValueError(f"rule {self.name}: only Google has organisational units; use a group")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is empty."""
        return {name: value for name, value in handler(self).items() if value}

    @property
    def condition(self) -> str:
        """Which condition it has."""
        return next(name for name in CONDITIONS if getattr(self, name))

    @property
    def value(self) -> str:
        """What the condition says."""
        return str(getattr(self, self.condition))

    @property
    def in_words(self) -> str:
        """`group team@example.org`."""
        return f"{self.condition.replace('_', ' ')} {self.value}"


def refuse_wrong(rules: Sequence[MappingRule], profiles: Collection[str]) -> None:
    """Refuse rules of one name, and rules whose profile is not among these.

    Raises:
        ValidationError: names them.
    """
    found: dict[int, str] = {}
    names: set[str] = set()
    for number, rule in enumerate(rules):
        if number >= MOST:
            found[number] = f"at most {MOST} rules are possible"
            break
        if rule.name.casefold() in names:
            found[number] = f"there is another rule {rule.name}: give this one its own name"
        elif rule.profile and rule.profile not in profiles:
            known = f"the profiles are {', '.join(sorted(profiles))}" if profiles else ""
            found[number] = (
                f"rule {rule.name}: the settings have no profile {rule.profile}; "
                f"{known or 'there are none'}"
            )
        names.add(rule.name.casefold())
    if found:
        mistakes = [
            mistake("mapping_rule", said, "mapping_rules", number) for number, said in found.items()
        ]
        raise ValidationError.from_exception_data("Settings", mistakes)
