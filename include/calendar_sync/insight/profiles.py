"""Profiles as people look at them: who has one, and what it changes."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from calendar_sync.config.differences import differences, in_words
from calendar_sync.config.settings import Settings
from calendar_sync.state import Store


@dataclass(frozen=True)
class ProfileSetting:
    """One setting by its dotted name; `usual` is the value without the profile."""

    name: str
    own: Any
    usual: Any

    @property
    def own_words(self) -> str:
        """The value with the profile, as people write it."""
        return in_words(self.own)

    @property
    def usual_words(self) -> str:
        """The value without it."""
        return in_words(self.usual)


@dataclass(frozen=True)
class Profile:
    """One profile: how many rows of the mapping have it, disabled ones too, and what it changes."""

    name: str
    users: int
    settings: tuple[ProfileSetting, ...]


def profiles(store: Store, settings: Settings) -> list[Profile]:
    """All profiles by name."""
    users = Counter(row.profile for row in store.config.mapping())
    return [
        Profile(name, users[name], changed_by(settings, name)) for name in sorted(settings.profiles)
    ]


def changed_by(settings: Settings, profile: str) -> tuple[ProfileSetting, ...]:
    """What is different for users with this profile; nothing without one, or for an unknown one."""
    if not profile or not settings.knows(profile):
        return ()
    found = differences(alone(settings, ""), alone(settings, profile))
    return tuple(ProfileSetting(name, own, usual) for name, (usual, own) in sorted(found.items()))


def alone(settings: Settings, profile: str) -> Settings:
    """The settings of users with this profile, or without one, comparable with each other.

    Raises:
        ConfigurationError: there is no such profile.
    """
    return settings.of(profile) if profile else settings.without_profiles
