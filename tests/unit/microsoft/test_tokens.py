"""Tokens by client credentials: the real MSAL, our client, and the bytes that leave the machine."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from calendar_sync.adapters.http import HttpClient
from calendar_sync.adapters.microsoft.errors import classify_token
from calendar_sync.adapters.microsoft.tokens import fetch_token
from calendar_sync.config.credentials import MicrosoftCredentials
from calendar_sync.core.errors import RateLimited, SyncError, TenantMisconfigured, TransientError
from tests.harness import VirtualClock
from tests.unit.microsoft.certificates import certificate, private_part, rsa_key

TENANT = "5a1f0000-0000-4000-8000-000000000001"
CLIENT = "c11e0000-0000-4000-8000-000000000002"
SECRET = "kept~to.ourselves"
HOST = "https://login.example"
ENDPOINT = f"{HOST}/{TENANT}/oauth2/v2.0/token"
DISCOVERY = f"{HOST}/{TENANT}/v2.0/.well-known/openid-configuration"
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
KEY = rsa_key()
CERTIFICATE = certificate(KEY)


class Entra:
    """Microsoft's token service for one app registration, as far as the protocol goes."""

    def __init__(self, host: str = HOST) -> None:
        self.host = host
        self.requests: list[httpx.Request] = []
        self.found: Any = {
            "token_endpoint": f"{host}/{TENANT}/oauth2/v2.0/token",
            "authorization_endpoint": f"{host}/{TENANT}/oauth2/v2.0/authorize",
            "issuer": f"{host}/{TENANT}/v2.0",
        }
        self.given: Any = {"token_type": "Bearer", "expires_in": 3599, "access_token": "a-token"}
        #: Answers before all others, such as faults.
        self.first: list[httpx.Response] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.first:
            return self.first.pop(0)
        if request.method == "GET":
            assert str(request.url) == f"{self.host}/{TENANT}/v2.0/.well-known/openid-configuration"
            return httpx.Response(200, json=self.found)
        assert str(request.url) == f"{self.host}/{TENANT}/oauth2/v2.0/token"
        form = self.form()
        assert form.pop("grant_type") == "client_credentials"
        assert form.pop("client_id") == CLIENT
        assert form.pop("scope") == "https://graph.example/.default"
        if "client_assertion" in form:
            self.check(form.pop("client_assertion"))
            kind = form.pop("client_assertion_type")
            assert kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        elif form.pop("client_secret") != SECRET:
            wrong = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid."}
            return httpx.Response(401, json=wrong)
        return httpx.Response(200, json=self.given)

    def form(self) -> dict[str, str]:
        return {
            name: value for name, [value] in parse_qs(self.requests[-1].content.decode()).items()
        }

    def check(self, assertion: str) -> None:
        """As Entra checks it: by the certificate of the app registration."""
        public = load_pem_x509_certificate(CERTIFICATE.encode()).public_key()
        claims = jwt.decode(
            assertion,
            public,  # type: ignore[arg-type]
            algorithms=["PS256", "RS256"],
            audience=f"{self.host}/{TENANT}/oauth2/v2.0/token",
        )
        assert claims["iss"] == claims["sub"] == CLIENT
        header = jwt.get_unverified_header(assertion)
        assert "x5t#S256" in header

    @property
    def sent(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]


def credentials(**changes: Any) -> MicrosoftCredentials:
    fields = {
        "tenant": TENANT, "client": CLIENT, "secret": SECRET, "authority": HOST,
        "root": "https://graph.example", **changes,
    }  # fmt: skip
    return MicrosoftCredentials(**fields)


def by_certificate(**changes: Any) -> MicrosoftCredentials:
    return credentials(secret="", certificate=CERTIFICATE, private_key=private_part(KEY), **changes)


def fetch(
    entra: Entra, asking: MicrosoftCredentials | None = None, now: datetime = NOW
) -> tuple[str, datetime]:
    client = HttpClient(
        entra.host,
        clock=VirtualClock(),
        classify=classify_token,
        transport=httpx.MockTransport(entra.answer),
        chance=random.Random(1),  # noqa: S311
    )

    async def work() -> tuple[str, datetime]:
        try:
            return await fetch_token(client, asking or credentials(), now)
        finally:
            await client.aclose()

    return asyncio.run(work())


def refused(entra: Entra, asking: MicrosoftCredentials | None = None) -> SyncError:
    with pytest.raises(SyncError) as caught:
        fetch(entra, asking)
    return caught.value


# --- The two kinds of credentials -------------------------------------------------------------


def test_a_secret_buys_a_token_for_an_hour() -> None:
    entra = Entra()
    assert fetch(entra) == ("a-token", NOW + timedelta(seconds=3599))
    assert entra.sent == [f"GET {DISCOVERY}", f"POST {ENDPOINT}"]


def test_the_secret_is_in_the_form_of_the_token_request_and_nowhere_else() -> None:
    entra = Entra()
    fetch(entra)
    discovery, token = entra.requests
    assert entra.form()["client_secret"] == SECRET
    for text in (str(discovery.url), str(discovery.headers), discovery.content.decode()):
        assert SECRET not in text
    for text in (str(token.url), str(token.headers)):
        assert SECRET not in text


def test_a_certificate_buys_one_too_and_its_key_stays_here() -> None:
    entra = Entra()
    assert fetch(entra, by_certificate()) == ("a-token", NOW + timedelta(seconds=3599))
    form = entra.form()
    assert "client_secret" not in form
    assert "PRIVATE" not in str(form)


def test_a_wrong_secret_is_named_as_such() -> None:
    error = refused(Entra(), credentials(secret="wrong~one"))
    assert type(error) is TenantMisconfigured
    assert error.code == "microsoft_invalid_client"
    assert "secret is wrong" in error.detail
    assert "wrong~one" not in f"{error} {vars(error)}"


def test_every_fetch_is_a_new_one() -> None:
    entra = Entra()
    assert fetch(entra)[0] == "a-token"
    entra.given["access_token"] = "another"
    assert fetch(entra)[0] == "another"


def test_an_authority_may_have_a_port_and_any_case() -> None:
    entra = Entra("https://login.example:8443")
    assert fetch(entra, credentials(authority="https://login.example:8443"))[0] == "a-token"
    assert fetch(Entra(), credentials(authority="https://Login.Example"))[0] == "a-token"


def test_a_known_authority_is_asked_directly_too() -> None:
    entra = Entra("https://login.microsoftonline.us")
    assert fetch(entra, credentials(authority=entra.host))[0] == "a-token"
    assert all(line.split()[1].startswith(f"{entra.host}/{TENANT}/") for line in entra.sent)


# --- Somebody else's address ------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        f"https://evil.example/{TENANT}/oauth2/v2.0/token",
        f"https://login.example:444/{TENANT}/oauth2/v2.0/token",
        f"https://login.example.evil.example/{TENANT}/oauth2/v2.0/token",
        f"https://login.example@evil.example/{TENANT}/oauth2/v2.0/token",
        f"https://evil.example@login.example/{TENANT}/oauth2/v2.0/token",
    ],
)
@pytest.mark.parametrize("make", [credentials, by_certificate], ids=["secret", "certificate"])
def test_a_discovery_that_names_another_host_is_rejected_and_gets_no_secret(
    endpoint: str, make: Callable[[], MicrosoftCredentials]
) -> None:
    entra = Entra()
    entra.found["token_endpoint"] = endpoint
    error = refused(entra, make())
    assert type(error) is TenantMisconfigured
    assert error.code == "microsoft_foreign_authority"
    assert entra.sent == [f"GET {DISCOVERY}"]
    assert "evil" not in f"{error} {vars(error)}"


def test_a_secret_never_leaves_without_tls() -> None:
    entra = Entra()
    entra.found["token_endpoint"] = ENDPOINT.replace("https", "http")
    assert isinstance(refused(entra), TransientError | TenantMisconfigured)
    assert entra.sent == [f"GET {DISCOVERY}"]


def test_a_redirect_is_not_followed() -> None:
    entra = Entra()
    entra.first = [httpx.Response(302, headers={"Location": "https://evil.example"})] * 9
    assert type(refused(entra)) is TransientError
    assert {request.url.host for request in entra.requests} == {"login.example"}


# --- Answers that are none --------------------------------------------------------------------

NO_DISCOVERY: list[Any] = [
    None, [], {}, "x", 7, True, {"token_endpoint": ENDPOINT}, {"authorization_endpoint": HOST},
    {"token_endpoint": None, "authorization_endpoint": HOST},
    {"token_endpoint": 7, "authorization_endpoint": HOST},
    {"token_endpoint": "", "authorization_endpoint": HOST},
    {"token_endpoint": [ENDPOINT], "authorization_endpoint": HOST},
    {"token_endpoint": f"/{TENANT}/oauth2/v2.0/token", "authorization_endpoint": HOST},
    {"token_endpoint": "https://[", "authorization_endpoint": HOST},
]  # fmt: skip


@pytest.mark.parametrize("found", NO_DISCOVERY, ids=str)
@pytest.mark.parametrize("make", [credentials, by_certificate], ids=["secret", "certificate"])
def test_a_discovery_that_says_nothing_is_tried_again_later(
    found: Any, make: Callable[[], MicrosoftCredentials]
) -> None:
    entra = Entra()
    entra.found = found
    error = refused(entra, make())
    assert type(error) is TransientError
    assert error.code == ("microsoft_token_unreadable" if found is not None else "empty_answer")
    assert {request.method for request in entra.requests} == {"GET"}


@pytest.mark.parametrize(
    "given",
    [None, [], {}, "x", 7, {"access_token": None}, {"access_token": ""}, {"access_token": 7},
     {"access_token": ["a-token"]}, {"error": "invalid_client"}, {"error": 7},
     {"access_token": "a-token", "expires_in": "soon"},
     {"access_token": "a-token", "expires_in": []},
     {"access_token": "a-token", "expires_in": 60, "id_token": "x"},
     {"access_token": "a-token", "expires_in": 60, "client_info": "x"}],
    ids=str,
)  # fmt: skip
def test_an_answer_without_a_token_is_tried_again_later(given: Any) -> None:
    entra = Entra()
    entra.given = given
    try:
        token, until = fetch(entra)
    except TransientError as error:
        assert error.code in {"microsoft_token_unreadable", "empty_answer"}  # noqa: PT017
    else:
        assert token == "a-token"
        assert NOW < until <= NOW + timedelta(hours=1)
    assert {request.method for request in entra.requests[1:]} == {"POST"}


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [(3599, 3599), (86399, 86399), ("3599", 3599), (None, 3600), (0, 3600), (-5, 3600),
     (10**9, 3600)],
)  # fmt: skip
def test_an_implausible_lifetime_counts_as_an_hour(lifetime: Any, seconds: int) -> None:
    entra = Entra()
    entra.given["expires_in"] = lifetime
    if lifetime is None:
        del entra.given["expires_in"]
    until = NOW.replace(microsecond=5)
    assert fetch(entra, now=until) == ("a-token", NOW + timedelta(seconds=seconds))


atoms = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(ENDPOINT)
json_values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
DISCOVERED = ["token_endpoint", "authorization_endpoint", "issuer", "device_authorization_endpoint"]
GIVEN = ["access_token", "expires_in", "refresh_in", "id_token", "client_info", "scope", "error",
         "refresh_token", "token_type", "foci", "ext_expires_in", "error_description"]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(DISCOVERED), json_values),
    st.dictionaries(st.sampled_from(GIVEN), json_values) | json_values,
)
def test_answers_of_any_shape_end_in_a_token_or_in_an_error_of_ours(
    found: dict[str, Any], given: Any
) -> None:
    entra = Entra()
    entra.found = {**entra.found, **found}
    entra.given = {**entra.given, **given} if isinstance(given, dict) else given
    try:
        token, until = fetch(entra)
    except SyncError:
        return
    assert token
    assert NOW < until <= NOW + timedelta(seconds=100_000)


# --- Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant 'x' not found"},
         TenantMisconfigured, "microsoft_invalid_tenant"),
        (400, {"error": "invalid_request"}, TenantMisconfigured, "microsoft_invalid_request"),
        (404, None, TenantMisconfigured, "microsoft_token_refused"),
        (429, {}, RateLimited, "microsoft_token_limited"),
        (500, {}, TransientError, "microsoft_token_unavailable"),
        (400, {"error": "temporarily_unavailable"}, TransientError, "microsoft_token_unavailable"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [0, 1], ids=["discovery", "token"])
def test_refusals_at_either_step(
    step: int, status: int, body: Any, kind: type[SyncError], code: str
) -> None:
    entra = Entra()
    refusal = httpx.Response(status, json=body) if body is not None else httpx.Response(status)
    entra.first = [httpx.Response(200, json=entra.found)] * step + [refusal] * 9
    error = refused(entra)
    assert (type(error), error.code) == (kind, code)
    assert len([r for r in entra.requests if r.method == "POST"]) == (
        0 if step == 0 else len(entra.requests) - 1
    )
    if kind is TenantMisconfigured:
        assert len(entra.requests) == step + 1


def test_a_moment_of_weakness_is_waited_out() -> None:
    entra = Entra()
    entra.first = [httpx.Response(503), httpx.Response(429, headers={"Retry-After": "3"})]
    assert fetch(entra)[0] == "a-token"
    assert [request.method for request in entra.requests] == ["GET", "GET", "GET", "POST"]


# --- Silence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [credentials, by_certificate], ids=["secret", "certificate"])
def test_neither_secret_nor_token_reach_a_log(
    make: Callable[[], MicrosoftCredentials], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    entra = Entra()
    fetch(entra, make())
    entra.given = {"error": "invalid_client", "error_description": "a-token", "access_token": None}
    refused(entra, make())
    for secret in (SECRET, "a-token", "PRIVATE KEY"):
        assert secret not in caplog.text
    if "client_assertion" in entra.form():
        assert entra.form()["client_assertion"] not in caplog.text


def test_no_error_carries_what_was_to_be_sent() -> None:
    entra = Entra()
    entra.first = [httpx.Response(200, json=entra.found), *[httpx.Response(500)] * 9]
    error: BaseException | None = refused(entra)
    while error is not None:
        assert SECRET not in f"{error!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__
