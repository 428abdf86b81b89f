"""Locking clocks, on a FAKE GPU that notes what it is told.

The law behind it: a lock never outlives the process that asked for it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers import CampaignError
from profilers.devices.clock_lock import ClockLock, locked_clocks
from tests.profilers.fakes_nvml import FakeNvml, NvmlError

REPOSITORY = Path(__file__).parents[2]
SET, RESET = "nvmlDeviceSetGpuLockedClocks", "nvmlDeviceResetGpuLockedClocks"
HANDLERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    def fake(**answers: Any) -> FakeNvml:
        module = FakeNvml(**answers)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return fake


@pytest.fixture
def lockable(install: Callable[..., FakeNvml]) -> FakeNvml:
    return install(nvmlDeviceGetMaxClockInfo=1980, **{SET: None, RESET: None})


def test_records_are_json() -> None:
    lock = ClockLock(requested_mhz=1500, locked=True, reason=None)
    assert json.loads(json.dumps(lock.to_json())) == {"requested_mhz": 1500, "locked": True, "reason": None}


# --- locking


def test_the_clock_is_locked_and_given_back_once(lockable: FakeNvml) -> None:
    with locked_clocks("gpu", clock_mhz=1200, index=1) as lock:
        assert lock == ClockLock(requested_mhz=1200, locked=True, reason=None)
        assert lockable.locking() == [(SET, 1200, 1200)]
    assert lockable.locking() == [(SET, 1200, 1200), (RESET,)]
    assert ("nvmlDeviceGetHandleByIndex", 1) in lockable.calls
    # Given back before NVML is stopped, or it would not be given back.
    assert lockable.calls[-2:] == [(RESET,), ("nvmlShutdown",)]


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (
            {
                "nvmlDeviceGetSupportedMemoryClocks": [2619, 1593],
                "nvmlDeviceGetSupportedGraphicsClocks": {2619: [1980, 1600, 1584, 1500], 1593: [1000]},
                "nvmlDeviceGetMaxClockInfo": {0: 1980},
            },
            1584,
        ),
        (
            {
                "nvmlDeviceGetSupportedMemoryClocks": [1593],
                "nvmlDeviceGetSupportedGraphicsClocks": {1593: [1000, 790, 810]},
            },
            790,
        ),
        ({"nvmlDeviceGetSupportedMemoryClocks": NvmlError(3), "nvmlDeviceGetMaxClockInfo": {0: 1983}}, 1586),
        (
            {
                "nvmlDeviceGetSupportedMemoryClocks": [1593],
                "nvmlDeviceGetSupportedGraphicsClocks": {1593: [1980]},
                "nvmlDeviceGetMaxClockInfo": {0: 1980},
            },
            1584,
        ),
    ],
    ids=["largest supported", "no maximum told", "none supported told", "none low enough"],
)
def test_the_default_clock_is_at_most_four_fifths_of_the_highest(
    install: Callable[..., FakeNvml], answers: dict[str, Any], chosen: int
) -> None:
    nvml = install(**answers, **{SET: None, RESET: None})
    with locked_clocks("gpu") as lock:
        assert (lock.requested_mhz, lock.locked) == (chosen, True)
    assert nvml.locking() == [(SET, chosen, chosen), (RESET,)]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ({SET: NvmlError(4)}, ["no permission", "run as root", "sudo nvidia-smi --lock-gpu-clocks=1584,1584"]),
        ({SET: NvmlError(3)}, ["not supported", "Not Supported"]),
        ({SET: NvmlError(13)}, ["not supported"]),
        ({}, ["not supported", "nvmlDeviceSetGpuLockedClocks"]),
        ({SET: NvmlError(2)}, ["does not lock the clocks to 1584 MHz: error 2", "nvidia-smi -q -d CLOCK"]),
    ],
    ids=["no permission", "not supported", "old driver", "old binding", "refused"],
)
def test_without_the_lock_the_body_runs_and_nothing_is_reset(
    install: Callable[..., FakeNvml], refusal: dict[str, Any], told: list[str]
) -> None:
    nvml = install(nvmlDeviceGetMaxClockInfo=1980, **refusal, **{RESET: None})
    before = [signal.getsignal(number) for number in HANDLERS]
    with locked_clocks("gpu") as lock:
        assert (lock.requested_mhz, lock.locked) == (1584, False)
        assert all(part in str(lock.reason) for part in told), lock.reason
        assert [signal.getsignal(number) for number in HANDLERS] == before
    assert nvml.named(RESET) == 0
    assert nvml.named("nvmlShutdown") == 1


def test_no_clock_to_derive_one_from(install: Callable[..., FakeNvml]) -> None:
    nvml = install(**{SET: None, RESET: None})
    with locked_clocks("gpu") as lock:
        assert (lock.requested_mhz, lock.locked) == (None, False)
        assert "give the clock in MHz" in str(lock.reason)
    assert nvml.locking() == []


def test_without_pynvml_the_body_runs_unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with locked_clocks("gpu", clock_mhz=900) as lock:
        assert (lock.requested_mhz, lock.locked) == (900, False)
        assert 'pip install "hwnas[gpu]"' in str(lock.reason)


@pytest.mark.parametrize(("device", "told"), [("cpu", "sudo cpupower frequency-set"), ("npu", "received 'npu'")])
def test_only_gpus_are_locked(lockable: FakeNvml, device: str, told: str) -> None:
    with locked_clocks(device) as lock:
        assert (lock.requested_mhz, lock.locked) == (None, False)
        assert told in str(lock.reason)
    assert lockable.calls == []


@pytest.mark.parametrize("clock_mhz", [0, -5])
def test_a_clock_has_to_be_positive(lockable: FakeNvml, clock_mhz: int) -> None:
    with (
        pytest.raises(CampaignError, match=f"expected a clock of 1 MHz or more, received {clock_mhz}"),
        locked_clocks("gpu", clock_mhz=clock_mhz),
    ):
        pytest.fail("locked")
    assert lockable.calls == []


# --- giving back


def test_an_exception_gives_the_clock_back_and_passes(lockable: FakeNvml) -> None:
    with pytest.raises(KeyError, match="body"), locked_clocks("gpu"):
        raise KeyError("body")
    assert lockable.locking() == [(SET, 1584, 1584), (RESET,)]


def test_a_failed_reset_warns_with_the_cure_and_hides_nothing(install: Callable[..., FakeNvml]) -> None:
    nvml = install(nvmlDeviceGetMaxClockInfo=1980, **{SET: None, RESET: NvmlError(15)})
    with (
        pytest.warns(RuntimeWarning, match="could not be unlocked: error 15. Cure: sudo nvidia-smi --reset-gpu-clocks"),
        pytest.raises(KeyError, match="body"),
        locked_clocks("gpu"),
    ):
        raise KeyError("body")
    assert nvml.named(RESET) == 1


@posix
def test_ctrl_c_gives_the_clock_back_once_before_it_interrupts(lockable: FakeNvml) -> None:
    before = signal.getsignal(signal.SIGINT)
    given_back: list[int] = []

    def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            given_back.append(lockable.named(RESET))

    with pytest.raises(KeyboardInterrupt), locked_clocks("gpu"):
        body()
    assert given_back == [1]
    assert lockable.named(RESET) == 1
    assert signal.getsignal(signal.SIGINT) == before


@posix
def test_ctrl_c_while_the_clock_is_being_given_back_does_not_lose_it(lockable: FakeNvml) -> None:
    """FAKE: the signal arrives inside the call that unlocks, before it has had an effect."""
    inner = lockable.__dict__[RESET]
    signals = [signal.SIGINT]

    def unlocking(*arguments: Any) -> None:
        if signals:
            os.kill(os.getpid(), signals.pop())
        inner(*arguments)

    setattr(lockable, RESET, unlocking)
    with pytest.raises(KeyboardInterrupt), locked_clocks("gpu"):
        pass
    assert lockable.locking() == [(SET, 1584, 1584), (RESET,)]


@posix
@pytest.mark.parametrize("number", HANDLERS)
def test_a_handler_that_was_there_is_called_after_the_clock_is_back(lockable: FakeNvml, number: int) -> None:
    seen: list[tuple[int, int]] = []

    def stop_soon(caught: int, _: object) -> None:
        seen.append((caught, lockable.named(RESET)))

    before = signal.signal(number, stop_soon)
    try:
        with locked_clocks("gpu"):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        assert seen == [(number, 1), (number, 1)]
        assert lockable.named(RESET) == 1
        assert signal.getsignal(number) == stop_soon
    finally:
        signal.signal(number, before)


@posix
def test_a_signal_just_before_the_lock_takes_hold_is_made_up_for(install: Callable[..., FakeNvml]) -> None:
    """FAKE: the signal arrives inside the call that locks, and its handler lets the process go on."""
    nvml = install(nvmlDeviceGetMaxClockInfo=1980, **{SET: None, RESET: None})
    inner = nvml.__dict__[SET]

    def locking(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        inner(*arguments)

    setattr(nvml, SET, locking)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with locked_clocks("gpu"):
            pass
    finally:
        signal.signal(signal.SIGTERM, before)
    assert nvml.locking()[-1] == (RESET,)


@posix
def test_ctrl_c_when_the_lock_has_just_taken_hold_gives_it_back(lockable: FakeNvml) -> None:
    """FAKE: the signal arrives inside the call that locks, after it has had its effect."""
    inner = lockable.__dict__[SET]

    def locking(*arguments: Any) -> None:
        inner(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    setattr(lockable, SET, locking)
    with pytest.raises(KeyboardInterrupt), locked_clocks("gpu"):
        pytest.fail("the body ran")
    assert lockable.locking() == [(SET, 1584, 1584), (RESET,)]


@posix
def test_an_ignored_signal_stays_ignored_and_the_clock_locked(lockable: FakeNvml) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with locked_clocks("gpu"):
            os.kill(os.getpid(), signal.SIGHUP)
            assert lockable.named(RESET) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_set_in_the_body_stays(lockable: FakeNvml) -> None:
    def mine(*_: object) -> None:
        pass

    before = signal.getsignal(signal.SIGTERM)
    try:
        with locked_clocks("gpu"):
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) == mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_off_the_main_thread_no_handler_is_touched_and_the_clock_is_given_back(lockable: FakeNvml) -> None:
    before = [signal.getsignal(number) for number in HANDLERS]
    seen: list[Any] = []

    def work() -> None:
        with locked_clocks("gpu") as lock:
            seen.append(lock.locked)
            seen.append([signal.getsignal(number) for number in HANDLERS] == before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, True]
    assert lockable.named(RESET) == 1


def test_nothing_is_left_registered_for_the_end_of_the_interpreter(
    lockable: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", registered.remove)
    with locked_clocks("gpu"):
        assert len(registered) == 1
    assert registered == []


FAKE_PYNVML = """
import os
class NVMLError(Exception): pass
def note(text):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as file:
        file.write(text + "\\n")
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetHandleByIndex(index): return "handle"
def nvmlDeviceSetGpuLockedClocks(handle, low, high): note(f"lock {low}")
def nvmlDeviceResetGpuLockedClocks(handle): note("unlock")
"""


def outcome(tmp_path: Path, body: str) -> tuple[int, str, list[str]]:
    """Runs a program on a FAKE binding; its exit status, its errors, and what it told the GPU."""
    (tmp_path / "pynvml.py").write_text(FAKE_PYNVML, encoding="utf-8")
    notes = tmp_path / "notes"
    program = "import os, signal, sys, threading\nfrom profilers.devices.clock_lock import locked_clocks\n"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}", "NOTES": str(notes)}
    done = subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(body)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr, notes.read_text(encoding="utf-8").splitlines()


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_killed_process_gives_the_clock_back_and_dies_of_the_signal(tmp_path: Path, name: str) -> None:
    status, _, notes = outcome(
        tmp_path,
        f"""
        signal.signal(signal.{name}, signal.SIG_DFL)  # whoever runs the tests under nohup has them ignore it
        with locked_clocks("gpu", clock_mhz=1000) as lock:
            assert lock.locked
            os.kill(os.getpid(), signal.{name})
            signal.pause()
        """,
    )
    assert notes == ["lock 1000", "unlock"]
    assert status == -getattr(signal, name)


def test_an_interpreter_that_ends_inside_gives_the_clock_back(tmp_path: Path) -> None:
    """The lock is held by a daemon thread, which ends without its ``finally``."""
    status, errors, notes = outcome(
        tmp_path,
        """
        locked = threading.Event()
        def work():
            with locked_clocks("gpu", clock_mhz=1000):
                locked.set()
                threading.Event().wait()
        threading.Thread(target=work, daemon=True).start()
        locked.wait()
        """,
    )
    assert (status, notes) == (0, ["lock 1000", "unlock"]), errors


@posix
def test_a_forked_child_that_is_killed_leaves_its_parents_lock_alone(tmp_path: Path) -> None:
    status, errors, notes = outcome(
        tmp_path,
        """
        with locked_clocks("gpu", clock_mhz=1000):
            child = os.fork()
            if child == 0:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            _, how = os.waitpid(child, 0)
            notes = open(os.environ["NOTES"], encoding="utf-8").read()
        assert notes == "lock 1000\\n", notes
        sys.exit(0 if os.WTERMSIG(how) == signal.SIGTERM else 5)
        """,
    )
    assert (status, notes) == (0, ["lock 1000", "unlock"]), errors
