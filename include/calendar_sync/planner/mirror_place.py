"""Where a visit is, as its mirror may say it: a place of the practice, or a join link.

Welkin has one text for both, which people write (`additionalInfo.location` of the event). It is
never copied: a place is shown in the words of the settings, a link only if nothing in it tells who
the patient is.
"""

import base64
import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from calendar_sync.config.mirror_content import LONGEST_PLACE, MirrorContent
from calendar_sync.config.sections import matches
from calendar_sync.core.model import LINK, PLACE, Appointment, Patient

#: Why nothing is shown, by the word for it: for `explain`.
LEFT_OUT = {
    "level": "left out: the title is at level busy",
    "place": "left out: not in `mirror_content.places`",
    "link": "left out: not one https link of common signs",
    "long": f"left out: a link of more than {LONGEST_PLACE} characters",
    "host": "left out: its host is not in `mirror_content.link_hosts`",
    "masked": "left out: Welkin hides the patient, so the link cannot be checked",
    "patient": "left out: the link carries data of the patient",
}
#: Shorter names and numbers occur in links by chance: they count as whole words only.
_TELLING = 4
_UNWRAPS = 5
_SAFE = re.compile(r"https://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")
_MASKED = re.compile(r"^\*+$")
_STANDARD = str.maketrans("-_", "+/")
#: Letters that are none with an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "AE"}
)
_TRANSCRIBED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "å": "aa"}
)


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """What a mirror has as its location, and the kind of it, or why Welkin's is left out."""

    text: str | None = None
    kind: str = ""
    left_out: str = ""


def place_of(appointment: Appointment, content: MirrorContent) -> Place:
    """The location of an appointment's mirror."""
    found = (appointment.event.location or "").strip()
    if not found:
        return Place()
    if not content.says_type:
        return Place(left_out="level")
    if "://" in found:
        why = _objection(found, appointment, content.link_hosts)
        return Place(left_out=why) if why else Place(found, LINK)
    for name, shown in content.places.items():
        if matches(found, (name.strip(),)):
            return Place(shown.strip(), PLACE)
    return Place(left_out="place")


def masked(patient: Patient) -> bool:
    """Welkin shows asterisks for patients whom the viewer may not see."""
    names = (patient.first_name, patient.last_name)
    return any(_MASKED.match(name) for name in names) or not any(names)


def _objection(link: str, appointment: Appointment, hosts: Iterable[str]) -> str:
    """Why this link is not shown; empty when it is."""
    if len(link) > LONGEST_PLACE:
        return "long"
    if not _SAFE.fullmatch(link):
        return "link"
    try:
        parts = urlsplit(link)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "link"
    if "@" in parts.netloc or port not in {None, 443}:
        return "link"
    suffix = next((each for each in hosts if _is_of(host, each)), None)
    if suffix is None:
        return "host"
    event = appointment.event
    everybody = (*event.patients, *event.former_patients)
    if any(masked(patient) for patient in everybody):
        return "masked"
    # Everything but what the organisation itself has named.
    own = host.removesuffix(suffix.removeprefix("*"))
    rest = link.partition("://")[2].partition(parts.netloc)[2]
    return "patient" if any(_tells(f"{own} {rest}", each) for each in everybody) else ""


def _is_of(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _tells(text: str, patient: Patient) -> bool:
    """Some reading of the text has the id, a name, or another detail of this patient."""
    readings = {text}
    for _ in range(_UNWRAPS):
        readings |= {plain for each in readings for plain in _unquoted(each)}
    if any(not readings >= set(_unquoted(each)) for each in readings):
        return True  # packed so often that nobody can say what is in it
    seen = readings | {inner for each in readings for inner in _decoded(each)}
    squeezed = [_squeezed(each) for each in seen]
    # Random bytes may look like a short word, but rarely like a text.
    words = {word for each in seen if each.isprintable() for word in _words(each)}
    return any(
        needle in words
        if needle.isascii() and len(needle) < _TELLING
        else any(needle in each for each in squeezed)
        for needle in _needles(patient)
    )


def _unquoted(text: str) -> tuple[str, ...]:
    """The text without one layer of percent signs, in both encodings that are in use."""
    return tuple(unquote(text, encoding=each) for each in ("utf-8", "latin-1"))


def _decoded(text: str) -> Iterator[str]:
    """What is written in base64 (a token has its content so) or in hexadecimal digits."""
    for token in {*re.findall(r"[\w-]{6,}", text), *re.findall(r"[\w+/-]{6,}", text)}:
        plain = token.translate(_STANDARD)
        raw = []
        for first in range(4):  # something else may stand in front
            part = plain[first:]
            part = part[:-1] if len(part) % 4 == 1 else part
            with contextlib.suppress(ValueError):
                raw.append(base64.b64decode(part + "=" * (-len(part) % 4), validate=True))
        for found in raw:
            yield found.decode("utf-8", "ignore")
            yield found.hex()
    for digits in re.findall(r"[0-9a-fA-F]{4,}", text):
        for first in range(2):
            part = digits[first : len(digits) - (len(digits) - first) % 2]
            yield bytes.fromhex(part).decode("utf-8", "ignore")


def _needles(patient: Patient) -> Iterator[str]:
    """What gives the patient away, squeezed; a single letter does not."""
    found: set[str] = set()
    for spelled in (str, _transcribed):
        first, last = spelled(patient.first_name), spelled(patient.last_name)
        parts = re.split(r"[\W_]+", f"{first} {last}")
        found |= {_squeezed(each) for each in (first, last, first + last, last + first, *parts)}
    user, _, _ = patient.email.partition("@")
    found |= {_squeezed(each) for each in (patient.id, patient.email, user)}
    born, phone = (re.sub(r"\D", "", each) for each in (patient.birth_date[:10], patient.phone))
    if len(born) == 8:
        year, month, day = born[:4], born[4:6], born[6:]
        found |= {born, month + day + year, day + month + year}
    if len(phone) >= 7:
        found.add(phone[-7:])
    return (needle for needle in found if len(needle) > (1 if needle.isascii() else 0))


def _squeezed(text: str) -> str:
    """Letters and digits only, without case and accents: é is e, and Ann-Lee is annlee."""
    return "".join(sign for sign in _folded(text).casefold() if sign.isalnum())


def _words(text: str) -> set[str]:
    """The words of a text without accents: joinAnn1 has join, ann and ann1."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _folded(text)).casefold()
    return {*re.split(r"[^a-z]+", apart), *re.split(r"[^a-z0-9]+", apart)}


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _transcribed(name: str) -> str:
    """Müller as Mueller."""
    return unicodedata.normalize("NFC", name).translate(_TRANSCRIBED)
