"""Google's errors, by the reaction that they need."""

from typing import Any

import pytest

from calendar_sync.adapters.google.errors import classify, classify_token, reason_of
from calendar_sync.adapters.http import Failure
from calendar_sync.core.errors import (
    BadItem,
    CursorExpired,
    Duplicate,
    NotFound,
    PreconditionFailed,
    RateLimited,
    SyncError,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)


def failure(status: int, reason: str = "", retry_after: float | None = None) -> Failure:
    body = {"error": {"code": status, "message": "Zyxwanda", "errors": [{"reason": reason}]}}
    return Failure(status, body, retry_after)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (failure(400, "invalid"), BadItem),
        (failure(400, "timeRangeEmpty"), BadItem),
        (failure(401, "authError"), TokenRejected),
        (failure(403, "userRateLimitExceeded"), RateLimited),
        (failure(403, "rateLimitExceeded"), RateLimited),
        (failure(403, "quotaExceeded"), RateLimited),
        (failure(403, "dailyLimitExceeded"), RateLimited),
        (failure(429, "rateLimitExceeded", 7), RateLimited),
        (failure(429), RateLimited),
        (failure(403, "accessNotConfigured"), TenantMisconfigured),
        (failure(403, "insufficientPermissions"), TenantMisconfigured),
        (failure(403, "notACalendarUser"), UserUnavailable),
        (failure(403, "forbidden"), UserUnavailable),
        (failure(403), UserUnavailable),
        (failure(403, "forbiddenForNonOrganizer"), BadItem),
        (failure(404, "notFound"), NotFound),
        (failure(409, "duplicate"), Duplicate),
        (failure(410, "fullSyncRequired"), CursorExpired),
        (failure(410, "updatedMinTooLongAgo"), CursorExpired),
        (failure(410, "deleted"), NotFound),
        (failure(412, "conditionNotMet"), PreconditionFailed),
        (failure(408), TransientError),
        (failure(500, "backendError"), TransientError),
        (failure(503), TransientError),
        (failure(302), BadItem),
    ],
    ids=lambda value: getattr(value, "__name__", None) or f"{value.status} {reason_of(value.json)}",
)
def test_api_errors(given: Failure, kind: type[SyncError]) -> None:
    error = classify(given)
    assert type(error) is kind
    assert "Zyxwanda" not in str(vars(error))


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", TenantMisconfigured),
        (403, "SERVICE_DISABLED", TenantMisconfigured),
        (403, "RATE_LIMIT_EXCEEDED", RateLimited),
    ],
)
def test_the_newer_form_of_errors_has_its_reason_among_the_details(
    status: int, reason: str, kind: type[SyncError]
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.Help"}, {"reason": reason}]
    body = {"error": {"code": status, "status": "PERMISSION_DENIED", "details": details}}
    assert type(classify(Failure(status, body, None))) is kind
    named_twice = {"error": {"errors": [{"reason": "notACalendarUser"}], "details": details}}
    assert type(classify(Failure(status, named_twice, None))) is UserUnavailable


@pytest.mark.parametrize("asked", [None, 30.0, 9000.0])
def test_what_is_used_up_stays_so_for_an_hour_at_least(asked: float | None) -> None:
    for reason, tenant_wide in (("quotaExceeded", False), ("dailyLimitExceeded", True)):
        error = classify(failure(403, reason, asked))
        assert isinstance(error, RateLimited)
        assert error.retry_after == max(asked or 0, 3600)
        assert error.tenant_wide is tenant_wide
        assert error.code in {"google_quota_exceeded", "google_daily_limit_exceeded"}


def test_a_limit_on_requests_is_the_same_as_403_and_as_429() -> None:
    for status in (403, 429):
        error = classify(failure(status, "rateLimitExceeded", 7))
        assert isinstance(error, RateLimited)
        assert (error.code, error.retry_after) == ("google_rate_limited", 7)


def test_pauses() -> None:
    limited = classify(failure(429, "rateLimitExceeded", 7))
    assert isinstance(limited, RateLimited)
    assert (limited.retry_after, limited.tenant_wide) == (7, True)
    used_up = classify(failure(403, "quotaExceeded"))
    assert isinstance(used_up, RateLimited)
    assert used_up.retry_after is not None
    assert used_up.retry_after >= 600
    assert not used_up.tenant_wide


@pytest.mark.parametrize(
    ("status", "error", "description", "kind"),
    [
        (400, "invalid_grant", "Invalid email or User ID", UserUnavailable),
        (400, "invalid_grant", "Not a valid email", UserUnavailable),
        (400, "invalid_grant", "The account has been deleted", UserUnavailable),
        (400, "invalid_request", "Invalid impersonation prn email address.", UserUnavailable),
        (401, "access_denied", "Account restricted", UserUnavailable),
        (400, "access_denied", "Account restricted", UserUnavailable),
        (403, "access_denied", "Requested client not authorized.", TenantMisconfigured),
        (403, "disabled_client", "The OAuth client was disabled.", TenantMisconfigured),
        (403, "admin_policy_enforced", "Blocked", TenantMisconfigured),
        (400, "invalid_grant", "Invalid JWT: No valid verifier found", TenantMisconfigured),
        (500, "internal_failure", "Backend Error", TransientError),
        (400, "invalid_grant", "Invalid JWT: Token must be short-lived", TenantMisconfigured),
        (400, "invalid_grant", "Invalid JWT Signature.", TenantMisconfigured),
        (401, "unauthorized_client", "Client is unauthorized to retrieve", TenantMisconfigured),
        (400, "invalid_scope", "Bad Request", TenantMisconfigured),
        (401, "invalid_client", "", TenantMisconfigured),
        (429, "", "", RateLimited),
        (503, "", "", TransientError),
        (400, "internal_failure", "", TransientError),
    ],
)
def test_token_errors(status: int, error: str, description: str, kind: type[SyncError]) -> None:
    body = {"error": error, "error_description": description}
    assert type(classify_token(Failure(status, body, None))) is kind


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"error": "x"}, {"error": {"errors": "x"}}, {"error": {"errors": []}},
     {"error": {"errors": ["x"]}}, {"error": {"errors": [{"reason": "Zyxwanda was here"}]}}],
    ids=str,
)  # fmt: skip
def test_bodies_of_any_shape(body: Any) -> None:
    assert reason_of(body) == ""
    for status in (400, 401, 403, 404, 409, 410, 412, 429, 500):
        assert "Zyxwanda" not in str(vars(classify(Failure(status, body, None))))
        assert "Zyxwanda" not in str(vars(classify_token(Failure(status, body, None))))


@pytest.mark.parametrize("text", ["Zyxwanda_Quux", "zyxwanda", "forbiddenForZyxwanda"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 429, 500])
def test_words_of_the_server_that_are_no_known_code_appear_nowhere(status: int, text: str) -> None:
    for body in (
        {"error": {"message": text, "errors": [{"reason": text}], "details": [{"reason": text}]}},
        {"error": text, "error_description": text},
        text,
    ):
        for error in (
            classify(Failure(status, body, None)),
            classify_token(Failure(status, body, None)),
        ):
            assert "zyxwanda" not in f"{error} {vars(error)}".lower()
