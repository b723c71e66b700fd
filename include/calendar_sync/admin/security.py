"""Airflow's auth manager as our guard. The only module of the admin pages that imports Airflow.

Rights follow what Airflow lets a person do elsewhere: those who may see its plugins may look, those
who may edit its configuration or its connections may change things. (Auth managers are free to give
nobody the right to edit the configuration; who may replace the connections can do all of this
anyway.) Whoever can sign in has a page of their own: whose it is follows from the address that the
auth manager vouches for.
"""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.configuration import conf
from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from calendar_sync.admin.web.access import NotSignedIn, Right, Viewer


class AirflowAccess:
    """The auth manager that this Airflow is configured with."""

    async def viewer(self, request: Request) -> Viewer:
        """By the bearer token where there is one, else by the session cookie.

        Raises:
            NotSignedIn: neither, or one that is not valid (any more).
        """
        bearer = await bearer_scheme(request)
        try:
            user = await get_user(request, None, bearer)
        except HTTPException as error:
            raise NotSignedIn from error
        # The auth manager may ask its database.
        rights = await run_in_threadpool(_rights, user)
        return Viewer(
            str(user.get_id()),
            user.get_name(),
            rights,
            by_token=bearer is not None,
            addresses=addresses_of(user),
        )

    def secret(self) -> bytes:
        """Derived from Airflow's own key for such tokens."""
        key = get_signing_key("api", "secret_key")
        return hashlib.sha256(b"calendar-sync csrf" + key.encode()).digest()

    def origins(self) -> frozenset[str]:
        """The configured address of the API server."""
        parts = urlsplit(conf.get("api", "base_url", fallback="") or "")
        return frozenset({f"{parts.scheme}://{parts.netloc}".lower()} if parts.netloc else ())


def everybody_is_admin() -> bool:
    """Airflow's simple auth manager is told to let everybody in as an administrator."""
    simple = "SimpleAuthManager" in conf.get("core", "auth_manager", fallback="")
    return simple and conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)


def addresses_of(user: BaseUser) -> frozenset[str]:
    """E-mail addresses of a signed-in user: the name, if it is one, and what is known beside it.

    FAB's users have an address. Keycloak's carry their access token, which came with Airflow's own
    signed one: an address there counts if Keycloak has verified it.
    """
    known = [user.get_name(), getattr(user, "email", None)]
    claims = _claims(getattr(user, "access_token", None))
    if claims.get("email_verified") is True:
        known.append(claims.get("email"))
    words = (each.strip().lower() for each in known if isinstance(each, str))
    return frozenset(each for each in words if "@" in each)


def _claims(token: object) -> dict[str, Any]:
    """What a JWT says; nothing for what is none."""
    try:
        payload = str(token).split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rights(user: BaseUser) -> frozenset[Right]:
    manager = get_auth_manager()
    rights = set()
    if manager.is_authorized_view(access_view=AccessView.PLUGINS, user=user):
        rights.add(Right.VIEW)
    if manager.is_authorized_connection(method="PUT", user=user):
        rights |= {Right.CHANGE, Right.CONNECT}
    if manager.is_authorized_configuration(method="PUT", user=user):
        rights.add(Right.CHANGE)
    return frozenset(rights)
