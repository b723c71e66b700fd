"""What a code is: a text that is stored and shown, with its meaning beside it."""

from enum import StrEnum
from typing import Self


class Whose(StrEnum):
    """Who can fix it."""

    SYNC = "the administrator of the sync"
    GOOGLE = "the Google Workspace administrator"
    MICROSOFT = "the Microsoft 365 administrator"
    WELKIN = "the Welkin administrator"
    NETWORK = "the network administrator"
    OWNER = "the mailbox's owner, or the settings"
    SERVICE = "the service itself"


class Code(StrEnum):
    """Why something failed. The members are in the classes of the modules beside this one.

    A member is written as its value (stored in the database, at most 64 characters), its label,
    its advice, whose it is, and, where a test of a connection knows better, the words for that.
    """

    #: What is wrong, in a few words.
    label: str
    #: What to do about it, or what the sync does.
    advice: str
    whose: Whose
    #: What it means in a test of a connection: instead of `in_words`, if it is not empty.
    in_test: str

    def __new__(cls, value: str, label: str, advice: str, whose: Whose, in_test: str = "") -> Self:
        """Keep the words beside the value."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.label, made.advice, made.whose, made.in_test = label, advice, whose, in_test
        return made

    @property
    def in_words(self) -> str:
        """What is wrong, and what to do: "the server is not reachable: check the network"."""
        return f"{self.label}: {self.advice}" if self.advice else self.label

    @property
    def sentence(self) -> str:
        """The same as a sentence."""
        said = self.in_words
        return f"{said[:1].upper()}{said[1:]}{'' if said.endswith(('?', '.')) else '.'}"


def of_another_version(text: str) -> Code:
    """A code that no family has: its text says what it can."""
    made = str.__new__(Code, text)
    made._value_, made._name_ = text, "OF_ANOTHER_VERSION"
    made.label, made.whose, made.in_test = text.replace("_", " "), Whose.SYNC, ""
    made.advice = "another version of Calendar Sync wrote this code; see its log"
    return made


RETRIED = "the sync retries automatically"
HANDLED = "the next sync handles it"
READ_AGAIN = "the list of changes is read again"
