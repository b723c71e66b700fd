"""Microsoft's errors, by the reaction that they need."""

import asyncio
from typing import Any

import httpx
import pytest

from calendar_sync.adapters.http import Failure, HttpClient
from calendar_sync.adapters.microsoft.errors import classify, classify_token, code_of
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
from tests.harness import VirtualClock


def failure(status: int, code: str = "", retry_after: float | None = None) -> Failure:
    body = {"error": {"code": code, "message": "Zyxwanda", "innerError": {"code": "Zyxwanda"}}}
    return Failure(status, body, retry_after)


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        (failure(404, "MailboxNotEnabledForRESTAPI"), UserUnavailable, "microsoft_no_mailbox"),
        (failure(404, "MailboxNotSupportedForRESTAPI"), UserUnavailable, "microsoft_no_mailbox"),
        (failure(404, "MailboxNotHostedInExchange"), UserUnavailable, "microsoft_no_mailbox"),
        (failure(400, "MailboxNotHostedInExchange"), UserUnavailable, "microsoft_no_mailbox"),
        (failure(404, "ResourceNotFound"), UserUnavailable, "microsoft_account_unknown"),
        (failure(404, "Request_ResourceNotFound"), UserUnavailable, "microsoft_account_unknown"),
        (failure(404, "ErrorInvalidUser"), UserUnavailable, "microsoft_account_unknown"),
        (failure(404, "ErrorItemNotFound"), NotFound, "microsoft_not_found"),
        (failure(404, "itemNotFound"), NotFound, "microsoft_not_found"),
        (failure(404), NotFound, "microsoft_not_found"),
        (failure(400, "ErrorInvalidIdMalformed"), NotFound, "microsoft_not_found"),
        (failure(403, "ErrorAccessDenied"), UserUnavailable, "microsoft_access_denied"),
        (failure(403), UserUnavailable, "microsoft_access_denied"),
        (failure(403, "Authorization_RequestDenied"), TenantMisconfigured,
         "microsoft_directory_denied"),
        (failure(401, "InvalidAuthenticationToken"), TokenRejected, "microsoft_token_rejected"),
        (failure(401), TokenRejected, "microsoft_token_rejected"),
        (failure(409, "ErrorIrresolvableConflict"), Duplicate, "microsoft_conflict"),
        (failure(412, "ErrorIrresolvableConflict"), PreconditionFailed,
         "microsoft_changed_meanwhile"),
        (failure(410, "SyncStateNotFound"), CursorExpired, "microsoft_cursor_expired"),
        (failure(410, "resyncRequired"), CursorExpired, "microsoft_cursor_expired"),
        (failure(410), CursorExpired, "microsoft_cursor_expired"),
        (failure(400, "ErrorOccurrenceCrossingBoundary"), BadItem, "microsoft_refused"),
        (failure(400, "ErrorPropertyValidationFailure"), BadItem, "microsoft_refused"),
        (failure(400, "TimeZoneNotSupportedException"), BadItem, "microsoft_refused"),
        (failure(400, "InefficientFilter"), BadItem, "microsoft_refused"),
        (failure(400, "Unheard_Of"), BadItem, "microsoft_refused"),
        (failure(405), BadItem, "microsoft_refused"),
        (failure(413), BadItem, "microsoft_refused"),
        (failure(429, "ApplicationThrottled", 7), RateLimited, "microsoft_rate_limited"),
        (failure(429, "TooManyRequests"), RateLimited, "microsoft_rate_limited"),
        (failure(429, "ErrorAccessDenied"), RateLimited, "microsoft_rate_limited"),
        (failure(503, "ErrorServerBusy", 7), RateLimited, "microsoft_busy"),
        (failure(504, "ErrorServerBusy", 7), RateLimited, "microsoft_busy"),
        (failure(509, "", 7), RateLimited, "microsoft_busy"),
        (failure(503, "ErrorMailboxStoreUnavailable"), TransientError, "microsoft_unavailable"),
        (failure(503, "MailboxNotEnabledForRESTAPI"), TransientError, "microsoft_unavailable"),
        (failure(504), TransientError, "microsoft_unavailable"),
        (failure(500, "generalException", 7), TransientError, "microsoft_unavailable"),
        (failure(408), TransientError, "microsoft_unavailable"),
    ],
    ids=lambda value: (
        f"{value.status} {code_of(value.json)}" if isinstance(value, Failure) else ""
    ),
)  # fmt: skip
def test_api_errors(given: Failure, kind: type[SyncError], code: str) -> None:
    error = classify(given)
    assert type(error) is kind
    assert error.code == code
    assert "Zyxwanda" not in str(vars(error))


def test_a_pause_is_as_long_as_the_server_says_and_only_for_that_user() -> None:
    for status in (429, 503, 504, 509):
        error = classify(failure(status, "", 7))
        assert isinstance(error, RateLimited)
        assert (error.retry_after, error.tenant_wide) == (7, False)
    unnamed = classify(failure(429))
    assert isinstance(unnamed, RateLimited)
    assert unnamed.retry_after is None


def test_a_refusal_says_which_code_it_was() -> None:
    assert classify(failure(400, "InefficientFilter")).detail == "InefficientFilter"
    assert classify(failure(400, "Zyxwanda Quux")).detail == "400"


UNLIKE_A_CODE = [
    "Zyxwanda Quux", "zyxwanda@example.org", "Zyxwanda, born 1970-01-01", "Zyxwanda\n",
    "Zyxwanda: no such event", "\u0416yxwanda", "Zyxwanda" * 20, "<b>Zyxwanda</b>",
    "5551234567",
    # These look like codes.
    "Zyxwanda_Quux", "ErrorZyxwandaHasAnAppointment", "zyxwanda",
]  # fmt: skip


@pytest.mark.spread
@pytest.mark.parametrize("text", UNLIKE_A_CODE, ids=ascii)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 410, 412, 429, 500, 503])
def test_what_does_not_look_like_a_code_appears_nowhere(status: int, text: str) -> None:
    for body in ({"error": {"code": text, "message": text}}, {"error": text}, text):
        for error in (
            classify(Failure(status, body, None)),
            classify_token(Failure(status, body, None)),
        ):
            shown = f"{error} {vars(error)}"
            assert text.strip().lower() not in shown.lower()


@pytest.mark.parametrize(
    "body",
    [None, [], {}, 7, "x", {"error": "x"}, {"error": None}, {"error": []}, {"error": {}},
     {"error": {"code": None}}, {"error": {"code": 7}}, {"error": {"code": ["x"]}}],
    ids=str,
)  # fmt: skip
def test_bodies_of_any_shape(body: Any) -> None:
    assert code_of(body) == ""
    for status in (400, 401, 403, 404, 409, 410, 412, 429, 500):
        assert isinstance(classify(Failure(status, body, None)), SyncError)
        assert isinstance(classify_token(Failure(status, body, None)), SyncError)


# --- Tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "description", "code", "advice"),
    [
        (401, "invalid_client", "AADSTS7000215: Invalid client secret provided. Trace ID: 1-2",
         "microsoft_invalid_client", "the client secret is wrong"),
        (401, "invalid_client", "AADSTS7000222: The provided client secret keys are expired.",
         "microsoft_invalid_client", "expired"),
        (400, "unauthorized_client", "AADSTS700016: Application with identifier 'x'",
         "microsoft_unauthorized_client", "client id"),
        (401, "invalid_client", "AADSTS700027: Client assertion failed signature validation.",
         "microsoft_invalid_client", "certificate"),
        (400, "invalid_request", "AADSTS90002: Tenant 'x' not found.",
         "microsoft_invalid_request", "does not exist"),
        (400, "invalid_tenant", "AADSTS900023: Specified tenant identifier 'x' is neither",
         "microsoft_invalid_tenant", "tenant id"),
        (400, "invalid_grant", "AADSTS65001: The user or administrator has not consented",
         "microsoft_invalid_grant", "no consent"),
        (400, "invalid_resource", "AADSTS500011: The resource principal was not found",
         "microsoft_invalid_resource", "service"),
        (400, "invalid_request", "AADSTS50057: The user account is disabled.",
         "microsoft_invalid_request", "AADSTS50057"),
        (400, "invalid_scope", "Zyxwanda says AADSTS7000215", "microsoft_invalid_scope", ""),
        (400, "invalid_scope", "", "microsoft_invalid_scope", ""),
        (403, "Invalid_Client", "", "microsoft_invalid_client", ""),
        (400, "", "", "microsoft_token_refused", ""),
        (404, "no such page", "AADSTSx", "microsoft_token_refused", ""),
    ],
)  # fmt: skip
def test_token_errors_concern_everybody(
    status: int, error: str, description: str, code: str, advice: str
) -> None:
    body = {"error": error, "error_description": description, "error_codes": [7000215]}
    found = classify_token(Failure(status, body, None))
    assert type(found) is TenantMisconfigured
    assert found.code == code
    assert advice in found.detail
    assert bool(found.detail) is bool(advice)
    assert "Zyxwanda" not in str(vars(found))
    # The numbers may change: without one only the advice is missing.
    plain = classify_token(Failure(status, {"error": error}, None))
    assert (type(plain), plain.code, plain.detail) == (TenantMisconfigured, code, "")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, "", RateLimited),
        (429, "invalid_client", RateLimited),
        (500, "invalid_client", TransientError),
        (503, "", TransientError),
        (408, "", TransientError),
        (400, "temporarily_unavailable", TransientError),
    ],
)
def test_token_errors_that_pass(status: int, error: str, kind: type[SyncError]) -> None:
    found = classify_token(Failure(status, {"error": error}, 7))
    assert type(found) is kind
    if isinstance(found, RateLimited):
        assert found.retry_after == 7


@pytest.mark.parametrize(
    "body",
    [{"error": 7}, {"error": ["invalid_client"]}, {"error": None}, {"error_description": 7},
     {"error_description": ["AADSTS1"]}, {"error_description": "AADSTS" + "1" * 5000}],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_token_answers_of_any_shape(body: Any) -> None:
    found = classify_token(Failure(400, body, None))
    assert type(found) is TenantMisconfigured
    assert found.code == "microsoft_token_refused"
    assert len(found.detail) < 100


# --- Answers that are none of Microsoft's -----------------------------------------------------


def answered(status: int, **answer: Any) -> SyncError:
    """What a whole request ends with."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, **answer))
    client = HttpClient(
        "https://graph.example", clock=VirtualClock(), classify=classify, transport=transport
    )

    async def work() -> None:
        try:
            await client.request("microsoft.test", "GET", "/v1.0/users")
        finally:
            await client.aclose()

    with pytest.raises(SyncError) as caught:
        asyncio.run(work())
    return caught.value


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412])
def test_a_page_of_a_proxy_is_no_fault_of_a_user(status: int) -> None:
    error = answered(status, text="<html>Zyxwanda</html>", headers={"Content-Type": "text/html"})
    assert type(error) is TransientError
    assert "Zyxwanda" not in f"{error} {vars(error)}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadItem), (401, TokenRejected), (403, UserUnavailable), (404, NotFound),
     (410, CursorExpired), (412, PreconditionFailed), (302, TransientError), (503, TransientError)],
)  # fmt: skip
def test_without_a_body_the_status_decides(status: int, kind: type[SyncError]) -> None:
    assert type(answered(status)) is kind
