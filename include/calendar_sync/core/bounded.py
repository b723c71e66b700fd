"""How much of what others send is taken in: one reader for what people upload and servers answer.

A few bytes can stand for gigabytes (compression, aliases, brackets) or for hours. So sizes are
looked at before anything is understood, compressed or not, and what is too much is refused.
"""

import json
import re
import zlib
from pathlib import Path
from typing import IO, Any

#: Bytes of an uploaded file: a mapping of ten thousand users is a quarter of it.
LARGEST_FILE = 4 * 1024 * 1024
#: Bytes of an answer, unpacked: a page of the longest lists is a third of it.
LARGEST_ANSWER = 16 * 1024 * 1024
DEEPEST = 64
#: Lists and objects in one document: each takes twenty times its two bytes.
MOST_PARTS = 400_000
_LONGEST_NUMBER = 400
#: Of each value, when they are counted, on the average.
LETTERS = 50
_PARTS = (dict, list, tuple)
#: Characters that neither UTF-8 nor both databases take.
HALF = re.compile("[\x00\ud800-\udfff]")


class TooMuch(ValueError):
    """More than is taken in; the text says of what."""


def read_file(file: Path | IO[bytes], most: int = LARGEST_FILE) -> bytes:
    """The content of a file.

    Raises:
        TooMuch: it is larger.
        OSError: it cannot be read.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return read_file(opened, most)
    content = file.read(most + 1)
    if len(content) > most:
        raise TooMuch(f"it is larger than {most // 1024:,} KB")
    return content


class Unpacker:
    """An answer's body as it comes in, unpacked no further than `most` bytes."""

    def __init__(self, encoding: str, most: int = LARGEST_ANSWER) -> None:
        """`encoding` is the Content-Encoding.

        Raises:
            ValueError: it is one that we did not ask for.
        """
        self._most = most
        self._received = 0
        self._content = bytearray()
        self._gzip: Any = None
        if encoding in {"gzip", "x-gzip"}:
            self._gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        elif encoding not in {"", "identity"}:
            raise ValueError("an unknown encoding")

    def take(self, chunk: bytes) -> None:
        """The next bytes.

        Raises:
            TooMuch: packed or unpacked it is larger.
            ValueError: it is not packed as the server says.
        """
        self._received += len(chunk)
        if self._gzip is not None:
            try:
                # One byte more than allowed is enough to know.
                left = self._most + 1 - len(self._content)
                chunk = b"" if self._gzip.eof else self._gzip.decompress(chunk, left)
            except zlib.error:
                raise ValueError("not packed as it says") from None
        self._content += chunk
        if max(self._received, len(self._content)) > self._most:
            raise TooMuch("the answer is too large")

    @property
    def content(self) -> bytes:
        """All of it so far."""
        return bytes(self._content)


def read_json(content: bytes | str, most: int = LARGEST_ANSWER) -> Any:
    """What a JSON text says. Nothing in it is infinite, or no number.

    Raises:
        TooMuch: it is larger, has more parts, or is nested deeper than anybody means.
        ValueError: it is not JSON.
    """
    if len(content) > most:
        raise TooMuch(f"it is larger than {most // 1024:,} KB")
    if isinstance(content, bytes):
        parts = content.count(b"[") + content.count(b"{")
    else:
        parts = content.count("[") + content.count("{")
    if parts > MOST_PARTS:
        raise TooMuch("it has too many parts")
    try:
        found = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise TooMuch("it is nested too deeply") from None
    refuse_deep(found)
    return found


def refuse_deep(value: Any, most: int | None = None) -> None:
    """End here when a value is nested too deeply, or has more than `most` members in all.

    What stands in several places counts in each: it is written out in each, too.

    Raises:
        TooMuch: says which.
    """
    level, members, letters = [value], 0, 0
    for _ in range(DEEPEST):
        below: list[Any] = []
        for part in level:
            if most is not None:
                members += len(part) if isinstance(part, _PARTS) else 0
                letters += len(part) if isinstance(part, str) else 0
                if members > most or letters > LETTERS * most:
                    raise TooMuch(f"it has more than {most:,} values, or too long ones")
            if isinstance(part, _PARTS):
                found = part.values() if isinstance(part, dict) else part
                below += found if most is not None else (x for x in found if isinstance(x, _PARTS))
        if not below:
            return
        level = below
    raise TooMuch("it is nested too deeply")


def refuse_halves(value: Any) -> None:
    """End here when a text in it cannot be stored: half a character, or a NUL.

    Raises:
        TooMuch: there is one.
    """
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str) and HALF.search(part):
            raise TooMuch("a character that cannot be stored")
        if isinstance(part, dict):
            parts += part.keys()
            parts += part.values()
        elif isinstance(part, list | tuple):
            parts += part


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or (found := float(text)) in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large")
    return found
