"""No request makes a page or the API fail, whatever stands in it, nor keep the server busy."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import cycle, product
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from calendar_sync.admin.settings.forms import controls, fill
from calendar_sync.config.settings import Settings
from calendar_sync.state import Store
from tests.engine.admin.population import populate
from tests.engine.admin.stage import Pages, csrf
from tests.engine.admin.test_settings_page import NOW

# Thousands of requests.
pytestmark = pytest.mark.timeout(1200)
#: Processor time of one request, generous.
SECONDS = 10.0
TEXTS = [
    "", " ", "0", "-1", "7", "1e999", "NaN", "Infinity", "0x" + "f" * 5000, "9" * 5000,
    str(2**31), str(2**63), str(10**30), "1:1:1:1", "true", "null", "[]", "[" * 5000, "{}",
    '{"a": 1e999}', '["a", "google", 7]', "a\x00b", "\U0001f600", "�", "a\r\nb: c",
    "../../etc/passwd", "%00", "%ED%A0%80", "{{7*7}}", "{0.__class__}", "'; --", "<script>",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "google",
    "microsoft", "a@b.c", "x" * 70_000, 'a: "\\ud800"', "a: 0x" + "f" * 5000,
    "a: &a [*a]", "? [a]\n: b", "a: 1" + ":1" * 3000 + ".5", "welkin_default", "effect",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[]", b"null", b"7", b"[" * 100_000, b"[" * 200 + b"]" * 200, b"\xff\xfe", b"\xff",
    b'{"a": ' * 3000, b'"\\ud800"', b"1e999", b"NaN", b"9" * 5000, b"{}" * 9,
]  # fmt: skip
JSONS: list[Any] = [
    None, True, 7, -1, 2**31, 2**63, 10**30, "", "x", "\ud800", "a\x00b", "x" * 70_000, [], {},
    [None], {"a": {"b": [1]}}, [[[[[[]]]]]], ["google"], {"time_zone": "\ud800"},
    {"notify": {"arguments": {"cc": 10**400}}},
]  # fmt: skip


def routes(pages: Pages) -> Iterator[tuple[APIRoute, str]]:
    """Every route with a method of it."""
    for route in pages.app.routes:
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield route, method


def fits(name: str) -> str:
    """A value that is not refused at once, for the parameters that are not tried now."""
    known = {
        "user_id": "u1", "platform": "google", "document": "{}", "number": "1", "to": "enable",
        "name": "welkin_default", "version": "x", "path": "admin.css", "choice": "dismiss",
        "content": "welkin_user_id,platform,account\n", "step": "create_mirror", "one": "0",
        "other": "0", "account": "a@b.c", "user": "u1", "source_id": "x", "digest": "ab",
    }  # fmt: skip
    return known.get(name, "0")


def filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe="")).replace(
            f"{{{name}:path}}", quote(value, safe="")
        )
    return path


@pytest.fixture
def turns(pytestconfig: pytest.Config) -> int:
    """Of how many parameters each takes its share of the texts; with `--every-seed` all of them."""
    return 1 if pytestconfig.getoption("--every-seed") else 9


def requests(route: APIRoute, method: str, turn: int, turns: int) -> Iterator[Any]:
    """Address and options: a share of the texts in each parameter, the others as they should be."""
    flat = get_flat_dependant(route.dependant)
    in_path = {one.alias: fits(one.alias) for one in flat.path_params}
    in_query = {one.alias: fits(one.alias) for one in flat.query_params}
    in_form = {one.alias: fits(one.alias) for one in flat.body_params}
    address = filled(route.path, in_path)
    yield address, {"params": in_query, "data": in_form if method != "GET" else None}
    for text in TEXTS[turn % turns :: turns]:
        for name in in_path:
            yield filled(route.path, {**in_path, name: text[:3000]}), {"params": in_query}
        for name in in_query:
            yield address, {"params": {**in_query, name: text[:5000]}, "data": in_form or None}
        for name in in_form:
            yield address, {"params": in_query, "data": {**in_form, name: text}}


def asked(client: TestClient, method: str, path: str, **more: Any) -> int:
    """The status; nothing fails, and nothing takes long."""
    begun = time.process_time()
    answer = client.request(method, path, follow_redirects=False, **more)
    seconds = time.process_time() - begun
    fine = answer.status_code < 500 or answer.status_code == 503
    if not fine or seconds >= SECONDS or len(answer.content) >= 5_000_000:
        # Told here: writing down thousands of requests that were fine takes as long as some pages.
        pytest.fail(f"{seconds} s: {method} {path[:200]} {str(more)[:300]} {answer.text[:300]}")
    return answer.status_code


@pytest.fixture
def script(pages: Pages, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """An operator with some users to find, and nothing outside."""
    populate(store, NOW, 20)
    monkeypatch.setenv("AIRFLOW_CONN_CALENDAR_SYNC_HMAC_KEY", '{"password": "audit key"}')
    monkeypatch.setattr("calendar_sync.admin.users.user.find_page", lambda *_: None)
    with pages.script("OP") as client:
        yield client


def test_no_parameter_of_any_route(pages: Pages, script: TestClient, turns: int) -> None:
    seen: Counter[int] = Counter()
    failed = []
    for turn, (route, method) in enumerate(routes(pages)):
        for path, more in requests(route, method, turn, turns):
            try:
                seen[asked(script, method, path, **more)] += 1
            except pytest.fail.Exception as error:
                failed.append(str(error)[:300])
    assert failed == []
    assert seen[200]
    assert seen[422]


def test_no_body_of_any_route(pages: Pages, script: TestClient, turns: int) -> None:
    kinds = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    for turn, (route, method) in enumerate(routes(pages)):
        if method == "GET":
            continue
        flat = get_flat_dependant(route.dependant)
        path = filled(route.path, {one.alias: fits(one.alias) for one in flat.path_params})
        for (place, body), (number, kind) in product(enumerate(BODIES), enumerate(kinds)):
            # Each route gets each body; which kind it says that this is goes by turns.
            if (turn + place + number) % turns == 0:
                asked(script, method, path, content=body, headers={"content-type": kind})


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("PUT", "settings", ["revision", "settings"]),
        ("PUT", "mapping", ["revision", "users"]),
        ("POST", "conflicts/1", ["choice"]),
        ("POST", "approvals", ["digests"]),
    ],
)
def test_no_value_in_json(script: TestClient, method: str, path: str, names: list[str]) -> None:
    usual = {"revision": 0, "settings": {}, "users": [], "choice": "dismiss", "digests": ["ab"]}
    row = {"welkin_user_id": "u1", "platform": "google", "account": "a@b.c"}
    for name in names:
        for value in JSONS:
            body = {**{each: usual[each] for each in names}, name: value}
            asked(script, method, f"/api/v1/{path}", content=json.dumps(body))
            if name == "users":
                for column in (*row, "email", "enabled", "direction"):
                    body = {"revision": 0, "users": [{**row, column: value}]}
                    asked(script, method, f"/api/v1/{path}", content=json.dumps(body))


def tried(names: Iterable[str], turns: int) -> Iterator[tuple[str, str]]:
    """Inputs of the settings, and what to type.

    What is read as a number, a choice from a list or a box is read by the same few lines in every
    input: there each text is typed once for each kind, into the inputs of that kind in turn. Each
    other input (texts, lists, YAML) takes its share of the texts. With `turns` of 1 each text is
    typed into each input.
    """
    kinds = {one.name: (one.kind, one.limits.get("step")) for one in controls()}
    alike: dict[Any, list[str]] = {}
    for turn, name in enumerate(names):
        kind = kinds.get(name)
        if turns > 1 and kind is not None and kind[0] in {"number", "select", "check"}:
            alike.setdefault(kind, []).append(name)
        else:
            yield from ((name, text) for text in TEXTS[turn % turns :: turns])
    for group in alike.values():
        yield from zip(cycle(group), TEXTS, strict=False)


def test_no_input_of_the_settings(script: TestClient, turns: int) -> None:
    usual = {**fill(Settings()), "based_on": ["0"]}
    for name, text in tried(usual, turns):
        asked(script, "POST", "/settings/review", data={**usual, name: [text]})
    details = {name: value for name, value in usual.items() if name.startswith("mirror_content.")}
    for turn, name in enumerate(details):
        for text in TEXTS[turn % turns :: turns]:
            asked(script, "GET", "/settings/sample", params={**details, name: [text[:5000]]})


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "9" * 5000},
        {"content-length": "-1"},
        {"content-length": "0x10"},
        {"origin": "http://["},
        {"origin": "null"},
        {"host": "["},
        {"host": ""},
        {"sec-fetch-site": "x" * 5000},
        {"authorization": "Bearer"},
        {"authorization": "Bearer " + "." * 5000},
        {"cookie": "_token=" + "[" * 5000},
        {"content-type": "multipart/form-data; boundary=" + "x" * 5000},
        {"content-type": "application/json; charset=utf-7"},
        {"content-type": "\xff/\xff"},
        {"x-csrf-token": "\xff." * 500},
        {"hx-request": "x" * 5000},
    ],
    ids=str,
)
def test_no_header(operator: TestClient, headers: dict[str, str]) -> None:
    token = csrf(operator)
    for method, path in [
        ("GET", "/"),
        ("GET", "/mapping?q=x"),
        ("POST", "/mapping/switch"),
        ("PUT", "/api/v1/settings"),
    ]:
        encoded = {k: v.encode("latin-1") for k, v in {"x-csrf-token": token, **headers}.items()}
        asked(operator, method, path, headers=encoded, content=b"" if method != "GET" else None)


def test_infinity_is_not_stored_as_nothing(script: TestClient, store: Store) -> None:
    before = store.config.revision()
    for number in ("Infinity", "-Infinity", "NaN", "1e999"):
        body = f'{{"revision": 0, "settings": {{"deletion_guard": {{"max_share": {number}}}}}}}'
        answer = script.put("/api/v1/settings", content=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        body = f'{{"revision": {number}, "settings": {{}}}}'
        assert script.put("/api/v1/settings", content=body).status_code == 422
    assert store.config.revision() == before


ROW = {"welkin_user_id": "x", "platform": "yahoo", "account": "no address"}


@pytest.mark.parametrize(
    "row",
    [ROW, {}, 7, {**ROW, "platform": "google", "account": "x@b.c"}, {**ROW, "email": "x" * 300}],
    ids=["wrong", "empty", "number", "twice", "long"],
)
def test_eighty_thousand_bad_rows_do_not_hold_the_api(script: TestClient, row: Any) -> None:
    text = json.dumps(row)
    body = '{"revision": 0, "users": [' + ",".join([text] * min(80_000, 4_000_000 // len(text)))
    assert asked(script, "PUT", "/api/v1/mapping", content=body + "]}") in {413, 422}


@pytest.mark.parametrize(
    "form",
    [
        {"notify.arguments": ["a0: &a0 [" + "x, " * 9 + "x]\n" + "\n".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)
        )]},
        {"encounter_types.include": ["x\n" * 400_000]},
        {f"mirror_content.type_titles#{part}": ["k"] * 9000 for part in ("key", "value")},
        {f"k{n}": ["x"] for n in range(15_000)},
        {"time_zone": ["x"] * 15_000},
    ],
    ids=["aliases", "lines", "rows", "unknown", "often"],
)  # fmt: skip
def test_no_form_costs_much(script: TestClient, form: dict[str, list[str]]) -> None:
    usual = {**fill(Settings()), "based_on": ["0"]}
    # Many times the same value is one value: then the form is only out of date.
    answer = asked(script, "POST", "/settings/review", data={**usual, **form})
    assert answer in {400, 409, 413, 422}


@pytest.mark.parametrize("name", ["m.csv", "m.yaml"])
@pytest.mark.parametrize(
    "content", [b"," * 400_000, b"[" * 400_000, b"- x\n" * 400_000, b"\xff" * 9, b"a: *b"], ids=len
)
def test_no_import_costs_much(script: TestClient, name: str, content: bytes) -> None:
    assert asked(script, "POST", "/mapping/import", files={"file": (name, content)}) == 422
    form = {"content": content.decode("latin-1"), "name": name, "based_on": "0"}
    assert asked(script, "POST", "/mapping/import/apply", data=form) == 422
