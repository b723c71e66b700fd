"""The receiver of push as in production, for demo and bench: the command, behind a proxy."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from calendar_sync_sandbox.patience import wait_for
from calendar_sync_sandbox.processes import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

#: In the folder of the sandbox, which is the working directory: the path of a Unix socket is short.
SOCKET = "receiver.sock"
PORT = "receiver.port"
#: Seconds without an answer.
SILENCE = 10


class Receiver:
    """`calendar-sync receive` behind a proxy with the sandbox's certificate.

    Both are processes of their own. They run within the block; without `wait_ready` they may not
    listen yet.

    Args:
        folder: where the served sandbox left its certificate.
        env: names the state database and has the receiver's key.
        logs: where the logs are written.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], logs: Path) -> None:
        self._folder, self._env, self._logs = folder, env, logs
        self._running = contextlib.ExitStack()
        self._proxy: Program
        self._program: Program

    def __enter__(self) -> Self:
        (self._folder / PORT).unlink(missing_ok=True)
        module = "calendar_sync_sandbox.proxy"
        try:
            self._proxy = self._start(
                "proxy", sys.executable, "-m", module, SOCKET, "server.pem", PORT
            )
            self.start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    @property
    def address(self) -> str:
        """For the setting `push.address`."""
        return f"https://localhost:{self._port}"

    @property
    def _port(self) -> int:
        return int((self._folder / PORT).read_text())

    def start(self) -> None:
        """Start the receiver alone, again after it was stopped."""
        command = str(Path(sys.executable).with_name("calendar-sync"))
        self._program = self._start("receiver", command, "receive", "--uds", SOCKET)

    def stop(self) -> None:
        """End the receiver alone; the proxy finds nobody from now on."""
        self._program.stop()

    def wait_ready(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until both listen.

        Raises:
            ProgramError: one of them ended, or does nothing.
        """
        there = (self._folder / PORT).exists
        wait_for(there, self._proxy, "the proxy did not start:", tick)
        wait_for(self._answers, self._program, "the receiver of push did not start:", tick)

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        with contextlib.closing(
            http.client.HTTPSConnection("localhost", self._port, timeout=SILENCE, context=context)
        ) as connection:
            try:
                connection.request("GET", "/health")
                return connection.getresponse().status == http.HTTPStatus.NO_CONTENT
            except (OSError, http.client.HTTPException):
                return False

    def _start(self, name: str, *command: str) -> Program:
        log = self._logs / f"{name}.log"
        program = Program(command, log=log, folder=self._folder, env=self._env)
        self._running.callback(program.stop)
        return program
