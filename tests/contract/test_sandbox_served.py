"""The served sandbox and its clients' connections."""

from __future__ import annotations

import gc
import ssl

import httpx

from calendar_sync_sandbox import Sandbox, running


def test_a_connection_that_a_client_keeps_is_closed_with_the_server() -> None:
    """A socket that stays open warns when it is collected, in whichever test is running then."""
    with running(Sandbox()) as (root, ca):
        client = httpx.Client(verify=ssl.create_default_context(cafile=str(ca)), trust_env=False)
        assert client.get(f"{root}/nothing").status_code == 404
    gc.collect()
    client.close()
