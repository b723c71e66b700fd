"""The receiver of push behind its proxy, as demo and bench start it."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.push.keys import KEY_VARIABLE
from calendar_sync.state import Store
from calendar_sync_sandbox.processes import ProgramError
from calendar_sync_sandbox.receiver import Receiver
from calendar_sync_sandbox.standalone import airflow_environment
from calendar_sync_sandbox.tls import make_certificate
from tests.engine.push.conftest import KEY, channel, google
from tests.harness import HMAC_KEY, fresh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def post(address: str, folder: Path, headers: Mapping[str, str]) -> int:
    """The status of the answer; 0 where nobody gives one."""
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{address}/google", method="POST", data=b"", headers=dict(headers)
    )
    try:
        with opener.open(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def test_notices_are_taken_over_tls_and_again_after_the_receiver_was_ended(tmp_path: Path) -> None:
    # So long a name of a socket would not be possible.
    folder = tmp_path / ("long" * 30)
    make_certificate(folder)
    url = f"sqlite:///{tmp_path}/state.db"
    database = fresh(url)
    store, one = Store(database, HMAC_KEY).push, channel()
    store.add(one)
    env = airflow_environment(tmp_path, tmp_path, None, 0)
    env |= {"CALENDAR_SYNC_DATABASE_URL": url, KEY_VARIABLE: KEY}
    with Receiver(folder, env, tmp_path) as receiver:
        receiver.wait_ready()
        address = receiver.address
        assert post(address, folder, google(one)) == 204
        assert post(address, folder, google(one, token="wrong")) == 404
        receiver.stop()
        assert post(address, folder, google(one)) == 0
        receiver.start()
        receiver.wait_ready()
        assert receiver.address == address
        assert post(address, folder, google(one)) == 204
    assert post(address, folder, google(one)) == 0
    assert sum(each.notices for each in store.channels(Platform.GOOGLE)) == 2
    database.close()


def test_a_receiver_without_a_key_says_so(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    env = airflow_environment(tmp_path, tmp_path, None, 0)
    with (
        Receiver(tmp_path, env, tmp_path) as receiver,
        pytest.raises(ProgramError, match=KEY_VARIABLE),
    ):
        receiver.wait_ready()
