"""Every code that the package raises has advice that says something."""

import ast
from pathlib import Path

import pytest

from calendar_sync.adapters.google.errors import classify as google_answer
from calendar_sync.adapters.google.errors import classify_token as google_token
from calendar_sync.adapters.http import Failure
from calendar_sync.adapters.microsoft.errors import classify_token as microsoft_token
from calendar_sync.core import errors
from calendar_sync.core.advice import advice, remedy
from calendar_sync.operations.selftest.report import WORDS

PACKAGE = Path(__file__).resolve().parents[2] / "include" / "calendar_sync"
#: What Google and Microsoft answer where a token is asked for (RFC 6749, and their own), and the
#: reasons that Google gives: codes are made of them.
OAUTH = {
    "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope",
    "temporarily_unavailable", "unauthorized_client",
}  # fmt: skip
GOOGLE = OAUTH | {
    "accessNotConfigured", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "SERVICE_DISABLED",
    "dailyLimitExceeded", "forbidden", "insufficientPermissions", "notACalendarUser",
    "quotaExceeded", "admin_policy_enforced", "deleted_client", "disabled_client", "org_internal",
}  # fmt: skip
FALLBACK = advice("a_code_of_nobody")
SYSTEMS = {advice(f"{system}_heard_of_by_nobody") for system in ("google", "microsoft", "welkin")}
# A bug of ours has no other advice.
OURS = {"unexpected", "too_many_questions"}


def error_classes() -> set[str]:
    """Names of everything that is raised with a code, wherever it is defined."""
    found = {"SyncError"}
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


def words(node: ast.expr) -> set[str]:
    """All that an expression may be, as far as it is written there."""
    if isinstance(node, ast.IfExp):
        return words(node.body) | words(node.orelse)
    if isinstance(node, ast.BoolOp):
        return set().union(*map(words, node.values))
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def codes() -> set[str]:
    """Every code that is written in the source: of errors, of findings, of classes."""
    found: set[str] = set()
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = ast.unparse(node.func).rpartition(".")[2]
                # `lost("timeout")`: the class is chosen before.
                raises = name in CLASSES | {"lost"}
                if raises:
                    found |= words(node.args[0])
                if name == "Finding" and len(node.args) > 1:
                    found |= words(node.args[1])
            if isinstance(node, ast.ClassDef) and node.name in CLASSES:
                for line in node.body:
                    if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
                        found |= words(line.value)
    return found


def of_servers() -> set[str]:
    """Codes that are made of what a server says."""
    said = {google_code(google_failure(word)) for word in GOOGLE}
    said |= {google_token(Failure(400, {"error": word}, None)).code for word in OAUTH}
    jwt = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    said.add(google_token(Failure(400, jwt, None)).code)
    said |= {microsoft_token(Failure(400, {"error": word}, None)).code for word in OAUTH}
    return said | {google_token(Failure(400, None, None)).code}


def google_failure(reason: str) -> Failure:
    return Failure(403, {"error": {"errors": [{"reason": reason}]}}, None)


def google_code(failure: Failure) -> str:
    return google_answer(failure).code


TREES = [
    ast.parse(file.read_text())
    for file in PACKAGE.rglob("*.py")
    if not {"sandbox", "migrations"} & set(file.parts)
]
CLASSES = error_classes()
ALL = codes() | of_servers()


def test_all_codes_are_looked_at() -> None:
    assert {"timeout", "connection_lost", "empty_answer", "no_connection", "not_in_time"} <= ALL
    assert {"audit_unavailable", "microsoft_no_consent", "google_invalid_grant"} <= ALL


@pytest.mark.parametrize("code", sorted(ALL - {"configuration"}))
def test_a_code_has_advice_of_its_own(code: str) -> None:
    said = WORDS.get(code) or advice(code)
    assert said
    assert said not in SYSTEMS
    assert (said == FALLBACK) == (code in OURS)


@pytest.mark.parametrize("code", ["timeout", "no_connection", "connection_lost", "empty_answer"])
def test_a_network_that_is_down_is_called_so(code: str) -> None:
    said = advice(code)
    assert "automatically" in said
    assert "report it" not in said
    assert "create the connection" not in said


@pytest.mark.parametrize("detail", ["welkin.token", "NOT_AUTHORIZED", "503", "google.events.list"])
def test_a_remedy_is_words_not_what_a_server_or_our_code_calls_it(detail: str) -> None:
    for error in (
        errors.TransientError("no_connection", detail=detail),
        errors.TenantMisconfigured("welkin_unauthorized", detail=detail),
    ):
        assert detail not in remedy(error)
        assert len(remedy(error).split()) > 5


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("google_some_new_reason", "setup-google"),
        ("microsoft_unheard_of", "setup-microsoft"),
        ("welkin_odd", "setup-welkin"),
        ("google_token_unavailable", "automatically"),
        ("microsoft_rate_limited", "pause"),
    ],
)
def test_codes_made_of_answers_fall_back_to_what_is_known(code: str, word: str) -> None:
    assert word in advice(code)
