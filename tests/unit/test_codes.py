"""Every code says what it means and what to do, and each is used."""

import ast
from pathlib import Path

import pytest

from calendar_sync.adapters.google.errors import classify as google_answer
from calendar_sync.adapters.google.errors import classify_token as google_token
from calendar_sync.adapters.http import Failure
from calendar_sync.adapters.microsoft.errors import classify_token as microsoft_token
from calendar_sync.core import errors
from calendar_sync.core.codes import (
    AccountVerdict,
    Code,
    GoogleCode,
    NetworkCode,
    WelkinCode,
    Whose,
    all_codes,
    code_of,
)

PACKAGE = Path(__file__).resolve().parents[2] / "include" / "calendar_sync"
#: What Google and Microsoft answer where a token is asked for (RFC 6749, and their own), and the
#: reasons that Google gives.
OAUTH = {
    "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope",
    "temporarily_unavailable", "unauthorized_client",
}  # fmt: skip
GOOGLE = OAUTH | {
    "accessNotConfigured", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "SERVICE_DISABLED",
    "dailyLimitExceeded", "forbidden", "insufficientPermissions", "notACalendarUser",
    "quotaExceeded", "admin_policy_enforced", "deleted_client", "disabled_client", "org_internal",
}  # fmt: skip
TREES = [
    ast.parse(file.read_text())
    for file in PACKAGE.rglob("*.py")
    if "migrations" not in file.parts and file.parent.name != "codes"
]
EVERY = list(all_codes())
FAMILIES = {type(code).__name__ for code in EVERY}


def name(code: Code) -> str:
    return f"{type(code).__name__}.{code.name}"


def mentioned() -> set[str]:
    """All that is written as `GoogleCode.REFUSED` outside the definitions."""
    return {
        ast.unparse(node)
        for tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in FAMILIES
    }


def error_classes() -> set[str]:
    """Names of everything that is raised with a code, wherever it is defined."""
    found = {"SyncError"}
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while more := {child for child, of in bases.items() if of & found} - found:
        found |= more
    return found


@pytest.mark.parametrize("code", EVERY, ids=name)
def test_a_code_has_a_label_advice_and_who_can_fix_it(code: Code) -> None:
    assert code.label
    assert code.advice or code is AccountVerdict.OK
    assert not code.label.endswith((".", ":"))
    assert not code.advice.endswith((".", ":"))
    assert isinstance(code.whose, Whose)
    assert len(code) <= 64


def test_no_two_codes_have_one_value() -> None:
    assert len({code.value for code in EVERY}) == len(EVERY)


def test_no_code_is_dead() -> None:
    assert {name(code) for code in EVERY} - mentioned() == set()


def test_no_error_is_raised_with_a_text_for_a_code() -> None:
    classes = error_classes()
    assert {"TransientError", "AuditUnavailable", "NotInTime"} <= classes
    texts = [
        ast.unparse(node)
        for tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in classes
        and node.args
        and any(isinstance(one, ast.Constant | ast.JoinedStr) for one in ast.walk(node.args[0]))
    ]
    assert texts == []


@pytest.mark.parametrize("word", sorted(GOOGLE | {"domainPolicy", "somethingNew"}))
def test_what_servers_answer_has_a_code_of_its_own(word: str) -> None:
    body = {"error": {"errors": [{"reason": word}]}}
    assert isinstance(google_answer(Failure(403, body, None)).code, GoogleCode)
    for token in (google_token, microsoft_token):
        code = token(Failure(400, {"error": word}, None)).code
        assert code in EVERY
        assert code.value.endswith(word) or word not in OAUTH or "token" in code or "acc" in code
    jwt = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    assert google_token(Failure(400, jwt, None)).code is GoogleCode.INVALID_GRANT


@pytest.mark.parametrize(
    "code",
    [
        NetworkCode.TIMEOUT,
        NetworkCode.NO_CONNECTION,
        NetworkCode.CONNECTION_LOST,
        NetworkCode.EMPTY_ANSWER,
    ],
)
def test_a_network_that_is_down_is_called_so(code: Code) -> None:
    assert "automatically" in code.in_words
    assert code.whose is Whose.NETWORK


@pytest.mark.parametrize("detail", ["welkin.token", "NOT_AUTHORIZED", "503", "google.events.list"])
def test_a_remedy_is_words_not_what_a_server_or_our_code_calls_it(detail: str) -> None:
    for error in (
        errors.TransientError(NetworkCode.NO_CONNECTION, detail=detail),
        errors.TenantMisconfigured(WelkinCode.UNAUTHORIZED, detail=detail),
    ):
        assert detail not in error.remedy
        assert len(error.remedy.split()) > 5


def test_a_code_of_another_version_is_shown_plainly() -> None:
    code = code_of("google_some_new_reason")
    assert code == "google_some_new_reason"
    assert code.label == "google some new reason"
    assert code.sentence.startswith("Google some new reason: another version")
