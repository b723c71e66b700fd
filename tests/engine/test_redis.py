"""Redis as deploy/compose/celery.yaml configures it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from calendar_sync_sandbox.patience import wait_for
from calendar_sync_sandbox.ports import free_port
from calendar_sync_sandbox.processes import Program
from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PART = yaml.safe_load((REPOSITORY / "deploy" / "compose" / "celery.yaml").read_text())
PASSWORD = "made-up"
SERVER, CLI = shutil.which("redis-server") or "", shutil.which("redis-cli") or ""


def ask(port: int, *words: str, password: str = PASSWORD) -> str:
    done = subprocess.run(
        [CLI, "-p", str(port), *words],
        env=os.environ | {"REDISCLI_AUTH": password},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def served(folder: Path, port: int) -> Program:
    text = PART["configs"]["redis"]["content"]
    text = text.replace("dir /data", f"dir {folder}\nbind 127.0.0.1\nport {port}")
    file = folder / "redis.conf"
    file.write_text(text.replace("${REDIS_PASSWORD:?set it in .env}", PASSWORD))
    command = [SERVER, str(file)]
    program = Program(command, log=folder / "log", folder=folder, env=os.environ)
    wait_for(lambda: ask(port, "PING") == "PONG", program, "Redis did not start")
    return program


def test_what_is_queued_needs_the_password_and_outlives_a_kill(tmp_path: Path) -> None:
    if not (SERVER and CLI):
        pytest.skip("no Redis here")
    port = free_port()
    with served(tmp_path, port) as first:
        assert "NOAUTH" in ask(port, "LLEN", "default", password="")
        assert ask(port, "RPUSH", "default", "a task") == "1"
        os.killpg(first.session, signal.SIGKILL)
    with served(tmp_path, port):
        assert ask(port, "LRANGE", "default", "0", "-1") == "a task"
