"""A certificate authority of the sandbox's own, and the connections that Airflow needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from pathlib import Path

    from calendar_sync_sandbox.sandbox import Sandbox

LOCAL = ("localhost", "127.0.0.1")


def make_certificate(directory: Path, hosts: tuple[str, ...] = LOCAL) -> tuple[Path, Path]:
    """Write ``ca.pem`` for clients and ``server.pem`` for the server.

    Args:
        directory: made when missing.
        hosts: names and addresses that the server is reached by.

    Returns:
        The paths of both files; ``server.pem`` holds key and certificate.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    certificate = authority.issue_cert(*hosts)
    ca, server = directory / "ca.pem", directory / "server.pem"
    authority.cert_pem.write_to_path(str(ca))
    server.touch(mode=0o600)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(server))
    return ca, server


def connections(sandbox: Sandbox, ca: Path) -> dict[str, dict[str, Any]]:
    """Return the Airflow connections, as JSON of ``AIRFLOW_CONN_…``, that reach the sandbox."""
    directory = sandbox.microsoft.directory
    admins = [account.email for account in sandbox.google.accounts.values() if account.admin]
    return {
        "welkin_default": {
            "conn_type": "welkin",
            "host": f"{sandbox.root}/welkin",
            "login": sandbox.client_name,
            "password": sandbox.client_secret,
            "extra": {
                "tenant": sandbox.tenant,
                "instance": sandbox.instance,
                "verify": str(ca),
            },
        },
        "google_calendar_default": {
            "conn_type": "google_cloud_platform",
            "extra": {
                # Airflow's own form for this connection stores the key file as text.
                "keyfile_dict": json.dumps(sandbox.google.keyfile()),
                "api_root": f"{sandbox.root}/google",
                "directory_root": f"{sandbox.root}/google",
                **({"directory_admin": admins[0]} if admins else {}),
                "verify": str(ca),
            },
        },
        "microsoft_graph_default": {
            "conn_type": "msgraph",
            "host": directory.graph_root,
            "login": directory.client_id,
            "password": directory.client_secret,
            "extra": {
                "tenant_id": directory.tenant_id,
                "authority": directory.authority,
                "verify": str(ca),
            },
        },
    }
