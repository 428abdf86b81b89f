"""A PostgreSQL server of the tests' own, which they can stop and start."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt")  # Debian keeps pg_ctl away from PATH
_ACCOUNT = "postgres"  # the server refuses to run as root


def _binaries() -> Path | None:
    found = [Path(path).parent for path in (shutil.which("pg_ctl"),) if path]
    found += [path.parent for place in _PLACES for path in sorted(Path(place).glob("**/bin/pg_ctl"), reverse=True)]
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@dataclass
class Server:
    """A server with one database.

    Attributes:
        folder: Its own.
        port: On the loopback address.
        binaries: Where its programs are.
    """

    folder: Path
    port: int
    binaries: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{_ACCOUNT}:secret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-o", options, "-l", "log", "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        self._run("initdb", "-D", "data", "-U", _ACCOUNT, "--auth=trust", "--no-sync")

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self.binaries / name), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", _ACCOUNT, "--", *command]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def made_server(folder: Path) -> Server:
    """A server that runs; skips the test where PostgreSQL is not installed, unless it has to be."""
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("HWNAS_REQUIRE_POSTGRESQL"):
            pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
        pytest.skip("needs PostgreSQL")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.geteuid() == 0:
        shutil.chown(folder, _ACCOUNT)
    server = Server(folder, port, binaries)
    server.make()
    server.start()
    return server
