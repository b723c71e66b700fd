"""Small inputs that once cost minutes, gigabytes or the process: read in a process of their own.

Prints what became of each as a line of JSON: seconds of processor time, megabytes at most so far.
"""

import asyncio
import gzip
import json
import re
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from calendar_sync.adapters.http import Failure, HttpClient
from calendar_sync.adapters.welkin.parse import parse_event
from calendar_sync.config.documents import read_yaml
from calendar_sync.config.mapping import read_mapping
from calendar_sync.config.settings import parse
from calendar_sync.core.bounded import read_json
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import code_of
from calendar_sync.core.errors import ConfigurationError, SyncError, TransientError

HEADER = b"welkin_user_id,platform,account\n"
MB = 1024 * 1024
HUGE = 2**61 - 1
EVENT = {
    "id": "e1",
    "hostId": "u1",
    "startDateTime": "2026-03-02T15:00:00Z",
    "endDateTime": "2026-03-02T16:00:00Z",
}
COPIES = ", ".join(f"k{n}: *x" for n in range(20_000))


def settings(text: str) -> None:
    document = read_yaml(text, "settings.yaml")
    parse(document.value, document.where)


def bomb(depth: int, wide: int) -> str:
    """Each line names the one before `wide` times."""
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * wide)}]" for n in range(1, depth)]
    return "\n".join(["a0: &a0 [x, y, z]", *lines])


def merges(depth: int) -> str:
    lines = [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, depth)]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


FILES: dict[str, Callable[[], object]] = {
    "a header of commas": lambda: read_mapping(b"," * 400_000, "m.csv"),
    "a header of one name": lambda: read_mapping(b"account," * 400_000, "m.csv"),
    "bad rows": lambda: read_mapping(HEADER + b"x,y,z\n" * 80_000, "m.csv"),
    "the same row": lambda: read_mapping(HEADER + b"x,google,x@b.c\n" * 80_000, "m.csv"),
    "a quote that stays open": lambda: read_mapping(HEADER + b"x,y,z\n" * 99_000 + b'"', "m.csv"),
    "a row of commas": lambda: read_mapping(HEADER + b"," * 2 * MB, "m.csv"),
    "more than a file": lambda: read_yaml("#" * 5 * MB, "m.yaml"),
    "bad rows in YAML": lambda: read_mapping(b"- {platform: y, account: z}\n" * 30_000, "m.yaml"),
    "no rows in YAML": lambda: read_mapping(b"- x\n" * 400_000, "m.yaml"),
    "unknown keys": lambda: read_mapping(
        b"\n".join(b"k%d: x" % n for n in range(60_000)), "m.yaml"
    ),
    "unknown columns": lambda: read_mapping(
        b"- {%s}" % b", ".join(b"k%d: x" % n for n in range(60_000)), "m.yaml"
    ),
    "unknown settings": lambda: settings("\n".join(f"k{n}: x" for n in range(15_000))),
    "a mistake at the end": lambda: read_yaml("- {a: b}\n" * 100_000 + "- {a: b: c}", "m"),
    "brackets": lambda: read_yaml("[" * MB, "m.yaml"),
    "braces": lambda: read_yaml("{" * MB, "m.yaml"),
    "dashes": lambda: read_yaml("- " * MB, "m.yaml"),
    "questions": lambda: read_yaml("? " * MB, "m.yaml"),
    "aliases": lambda: settings(f"notify: {{arguments: {{cc: *a9}}}}\n{bomb(10, 10)}"),
    "aliases in the right place": lambda: settings(
        f"x: &x [{', '.join(['a@b.c'] * 99)}]\nnotify: {{arguments: {{{COPIES}}}}}"
    ),
    "aliases of aliases": lambda: settings(bomb(60, 2)),
    "a long text, often": lambda: settings(
        f"x: &x {'a' * 100_000}\ny: [{', '.join(['*x'] * 10_000)}]"
    ),
    "merges of merges": lambda: read_yaml(merges(60), "m.yaml"),
    "base sixty": lambda: read_yaml("a: 1" + ":1" * 500_000, "m.yaml"),
    "base sixty and a half": lambda: read_yaml("a: 1" + ":1" * 1000 + ".5", "m.yaml"),
    "hexadecimal": lambda: read_yaml("a: 0x" + "f" * 5000, "m.yaml"),
    "binary": lambda: read_yaml("a: 0b" + "1" * MB, "m.yaml"),
    "keys of one hash": lambda: read_yaml(
        "{" + ", ".join(f"{HUGE * n}: x" for n in range(1, 60_000)) + "}", "m.yaml"
    ),
    "half a character": lambda: read_yaml('a: "\\ud800"', "m.yaml"),
    "nothing in a text": lambda: read_yaml('a: "\\0"', "m.yaml"),
    "other tags": lambda: read_yaml("!!set {a, b}", "m.yaml"),
    "deep JSON": lambda: read_json(b"[" * 100_000),
    "deep JSON that ends": lambda: read_json(b"[" * 100 + b"]" * 100),
    "JSON of nothing": lambda: read_json(b"[" + b"{}," * 4 * MB + b"{}]"),
    "more than an answer": lambda: read_json(b'"' + b"x" * 17 * MB + b'"'),
    "infinite": lambda: read_json(b'{"a": 1e999}'),
    "Infinity": lambda: read_json(b'{"a": -Infinity}'),
    "NaN": lambda: read_json('{"a": NaN}'),
    "digits": lambda: read_json(b"9" * 5000),
    "digits and a point": lambda: read_json(b"9" * MB + b".5"),
    "deep JSON in a text": lambda: parse_event(
        {**EVENT, "additionalInfo": "[" * 100_000}, ZoneInfo("UTC")
    ),
}


class Dripping(httpx.AsyncByteStream):
    """A body in pieces, as from a network."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


class Server(httpx.AsyncBaseTransport):
    """Always answers the same."""

    def __init__(self, status: int, pieces: Callable[[], Iterator[bytes]], encoding: str) -> None:
        self.status, self.pieces, self.encoding = status, pieces, encoding
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        headers = {"Content-Encoding": self.encoding} if self.encoding else {}
        return httpx.Response(self.status, headers=headers, stream=Dripping(self.pieces()))


def packed(megabytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    blank = b" " * MB
    for _ in range(megabytes):
        yield packer.compress(blank)
    yield packer.flush()


def classify(failure: Failure) -> SyncError:
    return (
        TransientError(code_of("down")) if failure.status >= 500 else SyncError(code_of("refused"))
    )


ANSWERS: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "packed blanks": (lambda: packed(150), "gzip"),
    "packed blanks in one piece": (lambda: iter([b"".join(packed(150))]), "gzip"),
    "blanks": (lambda: (b" " * MB for _ in range(150)), ""),
    "nothing behind the end": (
        lambda: chain([gzip.compress(b"{}")], (b"\0" * MB for _ in range(150))),
        "gzip",
    ),
    "not packed": (lambda: iter([b"{}"]), "gzip"),
    "packed twice": (lambda: iter([gzip.compress(gzip.compress(b"{}"))]), "gzip, gzip"),
    "another way of packing": (lambda: iter([b"{}"]), "br"),
    "deep": (lambda: iter([b"[" * 200_000]), ""),
    "objects": (lambda: iter([b"[" + b"{}," * 4_000_000 + b"{}]"]), ""),
}


async def ask(name: str, status: int) -> None:
    pieces, encoding = ANSWERS[name]
    server = Server(status, pieces, encoding)
    http = HttpClient(
        "https://api.example.org",
        clock=SystemClock(),
        classify=classify,
        transport=server,
    )
    try:
        await http.request("kind", "GET", "/")
    finally:
        await http.aclose()
    raise AssertionError("it was taken")


def run(name: str, status: int) -> None:
    asyncio.run(ask(name, status))


def main() -> None:
    """All of them, one after the other."""
    todo = {**FILES}
    for name in ANSWERS:
        for status in (200, 400, 503):
            todo[f"{status}: {name}"] = partial(run, name, status)
    for name, work in todo.items():
        begun, said = time.process_time(), "taken"
        try:
            work()
        except (ConfigurationError, ValueError) as error:
            said = f"refused {len(str(error))}"
        except SyncError as error:
            said = f"failed {error.code}"
        seconds = time.process_time() - begun
        # Not `ru_maxrss`: that of the test runner that started us would count.
        told = Path("/proc/self/status").read_text()
        peak = int(re.findall(r"VmHWM:\s+(\d+)", told)[0]) // 1024
        row = {"name": name, "said": said, "seconds": round(seconds, 2), "peak": peak}
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
