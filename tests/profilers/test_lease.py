"""One measurer a device: others wait, say so once, and whoever dies leaves nothing behind.

Processes are real ones; the devices are fakes.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock, Timeout

from profilers import CampaignSettings, DeviceMeter, device_lease, time_networks
from profilers.lease import lease_file
from profilers.testing import chain
from tests.profilers.fakes_backend import PROTOCOL, REFERENCES, FakeBackend, PlainFake, campaign

HOLDER = """
import sys
from types import SimpleNamespace
from profilers import device_lease
with device_lease(SimpleNamespace(device=sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWNAS_LEASES", str(tmp_path / "leases"))
    return tmp_path / "leases"


def on(device: str) -> Any:
    """A backend, as far as a lease asks."""
    return SimpleNamespace(device=device)


@contextmanager
def another_process(device: str) -> Iterator[subprocess.Popen[str]]:
    """One that holds a device until it is killed or its input ends."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    command = [sys.executable, "-c", HOLDER, device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def is_taken(device: str) -> bool:
    """Whether anybody holds a device, this process included."""
    try:
        with FileLock(lease_file(on(device)), timeout=0):
            return False
    except Timeout:
        return True


def when_said(do: Callable[[], None]) -> logging.Handler:
    """Does something at the first remark."""

    class Once(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            do()

    return Once()


def test_a_second_process_says_once_whom_it_waits_for_and_goes_on_when_the_first_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with another_process("cpu") as first:
        assert first.stdin is not None
        done = when_said(threading.Timer(0.5, first.stdin.close).start)
        logging.getLogger("profilers").addHandler(done)
        try:
            with device_lease(on("cpu")):
                assert first.wait(60) == 0
        finally:
            logging.getLogger("profilers").removeHandler(done)
    who = f" (pid {first.pid})" if sys.platform == "linux" else ""
    assert caplog.messages == [f"another hwnas process is measuring on this CPU{who}: waiting"]


def test_a_process_that_is_killed_leaves_no_lease_behind(caplog: pytest.LogCaptureFixture) -> None:
    with another_process("cpu") as first:
        assert is_taken("cpu")
        first.send_signal(signal.SIGKILL)
        first.wait(60)
        with device_lease(on("cpu")):
            assert caplog.messages == []


def test_ctrl_c_ends_the_wait_of_a_command_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(chain((8, 8)).model)
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    command = [sys.executable, "-m", "cli", "profile", "model.onnx", "--device", "cpu", "--out", "table.jsonl"]
    with (
        device_lease(on("cpu")),
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=here) as waiting,
    ):
        assert waiting.stderr is not None
        told = waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 1
        assert waiting.stderr.read() == "Stopped; the same command goes on where it was.\n"
    assert re.fullmatch(r"another hwnas process is measuring on this CPU( \(pid \d+\))?: waiting\n", told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leases", "model.onnx"]


def test_whoever_holds_a_device_may_take_it_again_and_keeps_it_to_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with device_lease(on("cpu")):
        with device_lease(on("cpu")):
            pass
        assert is_taken("cpu")
    assert not is_taken("cpu")
    assert caplog.messages == []


def test_devices_are_held_apart_and_any_name_makes_a_file(folder: Path) -> None:
    names = ["cpu", "gpu", "my board/2 ü"]
    with device_lease(on(names[0])), device_lease(on(names[1])), device_lease(on(names[2])):
        assert all(map(is_taken, names))
    assert len(list(folder.iterdir())) == 3


def test_every_user_of_the_machine_may_hold_a_lease_whoever_was_the_first(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        with device_lease(on("cpu")):
            pass
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert lease_file(on("cpu")).stat().st_mode & 0o777 == 0o666


def test_where_no_lease_can_be_kept_that_is_said_and_the_device_is_measured(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file")
    with device_lease(on("my board")):
        pass
    (message,) = caplog.messages
    assert message.startswith("cannot tell whether another hwnas process is measuring on the device 'my board'")
    assert message.endswith("Name a folder for leases in HWNAS_LEASES")


def test_an_error_gives_the_device_back() -> None:
    with pytest.raises(KeyboardInterrupt), device_lease(on("cpu")):
        raise KeyboardInterrupt
    assert not is_taken("cpu")


# --- who measures


@pytest.mark.parametrize("measure", ["profile", "networks", "meter"])
def test_whatever_measures_on_any_backend_holds_its_device_meanwhile_and_not_longer(
    measure: str, tmp_path: Path
) -> None:
    taken: list[bool] = []

    def look(_: Any, runs: Any) -> Any:
        taken.append(is_taken("made-up"))
        return runs

    backend: PlainFake = FakeBackend(distort=look)
    if measure == "profile":
        campaign(backend, tmp_path / "table.jsonl")
    elif measure == "networks":
        time_networks(
            REFERENCES, backend=backend, out=tmp_path / "out.json", settings=CampaignSettings(protocol=PROTOCOL)
        )
    else:
        DeviceMeter(backend=backend, protocol=PROTOCOL, pause_s=0.0)(REFERENCES[0].model)
    assert taken
    assert all(taken)
    assert not is_taken("made-up")
