"""The shape of the package: who may know whom, and how long a file may be."""

import ast
import os
import re
from pathlib import Path

import pytest
from importlinter import cli as import_linter

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "include" / "calendar_sync"
FILES = sorted(PACKAGE.parent.rglob("*.py"))


def test_imports_go_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert import_linter.lint_imports(no_cache=True) == import_linter.EXIT_STATUS_SUCCESS


def test_no_file_is_longer_than_500_lines() -> None:
    long = {
        str(file.relative_to(REPOSITORY)): lines
        for file in FILES
        if (lines := len(file.read_text().splitlines())) >= 500
    }
    assert long == {}


def test_only_http_makes_requests() -> None:
    found = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if {"httpx", "requests", "aiohttp", "urllib3"} & imported(file)
    }
    # The other one reads certificates as httpx would.
    assert found == {"adapters/certificates.py", "adapters/http.py"}
    # The standard library's clients are modules below a package that has other uses, too.
    used = re.compile(r"\burllib\.request\b|\bhttp\.client\b")
    product = PACKAGE.rglob("*.py")
    assert [file.name for file in product if used.search(file.read_text())] == []


def test_the_planner_looks_at_no_clock() -> None:
    for file in [*(PACKAGE / "planner").glob("*.py"), PACKAGE / "config" / "settings.py"]:
        assert not {"random", "time", "os", "asyncio", "logging"} & imported(file), file
        assert ".now(" not in file.read_text().replace("datetime.now(tzinfo", ""), file


def test_every_place_that_the_architecture_names_is_there() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    rooms = "|".join(sorted(path.name for path in PACKAGE.iterdir() if path.is_dir()))
    named = set(re.findall(rf"`((?:{rooms})/[\w/]+)(?:\.py)?/?`", text))
    assert len(named) > 20
    lost = {name for name in named if not list(PACKAGE.glob(f"{name}*"))}
    assert lost == set()


def test_nothing_names_a_path_of_this_machine() -> None:
    words = [word for word in ("/work/", "/root/", "/home/") if word != os.sep]
    for file in [*FILES, *REPOSITORY.glob("dags/*.py")]:
        assert not any(word in file.read_text() for word in words), file


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
