"""The admin pages below an Airflow auth manager, with a state database of their own."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.revoked_token import RevokedToken
from airflow.utils.session import create_session
from starlette.applications import Starlette
from starlette.testclient import TestClient

from calendar_sync.admin.factory import create_app
from calendar_sync.admin.security import AirflowAccess
from calendar_sync.admin.web import PREFIX
from calendar_sync.admin.web.opening import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from calendar_sync.state import Store

#: Roles of Airflow's simple auth manager: one who may look, one who may change connections.
VIEWER, OPERATOR = "VIEWER", "OP"
SITE = "http://airflow.example"
_NOT_TEXT = re.compile(r"<(script|textarea|pre|code)\b.*?</\1>|<[^>]*>", re.DOTALL)
_CSRF = re.compile(r'name="csrf-token" content="([^"]+)"')


@dataclass
class Pages:
    """The app, mounted as Airflow mounts it, and people who look at it."""

    app: FastAPI
    store: Store
    root: Starlette

    @contextlib.contextmanager
    def browser(self, role: str | None = None) -> Iterator[TestClient]:
        """A browser in which somebody of this role is signed in; nobody for None."""
        cookies = {"_token": token(role)} if role else {}
        address = f"{SITE}{PREFIX}"
        with TestClient(
            self.root, base_url=address, cookies=cookies, raise_server_exceptions=False
        ) as client:
            client.event_hooks["response"].append(_no_backticks)
            yield client

    @contextlib.contextmanager
    def script(self, role: str) -> Iterator[TestClient]:
        """A program that sends a bearer token."""
        headers = {"Authorization": f"Bearer {token(role)}"}
        address = f"{SITE}{PREFIX}"
        with TestClient(
            self.root, base_url=address, headers=headers, raise_server_exceptions=False
        ) as client:
            yield client


def _no_backticks(answer: Any) -> None:
    """What is code in a text of ours looks like code on each page (`rendering.ticks`)."""
    answer.read()
    if answer.headers.get("content-type", "").startswith("text/html"):
        shown = _NOT_TEXT.sub("", answer.text)
        assert "`" not in shown, shown[max(0, shown.index("`") - 200) :][:400]


def token(role: str | None, name: str = "") -> str:
    """What Airflow's sign-in would have given a user of this role."""
    manager = init_auth_manager()
    return str(manager.generate_jwt(SimpleAuthManagerUser(username=name or str(role), role=role)))


def csrf(client: TestClient, path: str = "/") -> str:
    """The token that a page carries for its forms and scripts."""
    found = _CSRF.search(client.get(path).text)
    assert found is not None, "the page has no token"
    return found[1]


def build(store: Store) -> Pages:
    """Mount the app. Airflow asks its own database whether a token was revoked: one table."""
    with create_session() as session:
        RevokedToken.metadata.create_all(
            session.get_bind(), tables=[RevokedToken.__table__], checkfirst=True
        )
    app = create_app(AirflowAccess(), State(store.database.url.render_as_string(False)))
    root = Starlette()
    root.mount(PREFIX, app)
    return Pages(app, store, root)
