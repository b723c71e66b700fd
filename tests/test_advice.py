"""Every code that the package raises has advice that says something."""

import ast
from pathlib import Path

import pytest

from calendar_sync import errors
from calendar_sync.advice import advice
from calendar_sync.selftest.report import WORDS

PACKAGE = Path(__file__).resolve().parents[1] / "include" / "calendar_sync"
CLASSES = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.SyncError)
}
# Whoever raises these says in the detail what to do; nobody meets the last two.
SELF_EXPLAINING = {"configuration", "sync_error", "bad_item"}
FALLBACK = advice("a_code_of_nobody")


def codes() -> set[str]:
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        if "sandbox" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in CLASSES
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    return found | {getattr(errors, name).code for name in CLASSES}


@pytest.mark.parametrize("code", sorted(codes() - SELF_EXPLAINING - WORDS.keys()))
def test_a_code_has_advice_of_its_own(code: str) -> None:
    said = advice(code)
    assert said
    assert said != FALLBACK or code in {"unexpected", "too_many_questions"}


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("google_some_new_reason", "setup-google"),
        ("microsoft_unheard_of", "setup-microsoft"),
        ("welkin_odd", "setup-welkin"),
        ("google_token_unavailable", "by itself"),
        ("microsoft_rate_limited", "pause"),
    ],
)
def test_codes_made_of_answers_fall_back_to_what_is_known(code: str, word: str) -> None:
    assert word in advice(code)
