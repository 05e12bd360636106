"""Runs one client against the load server, in a process of its own, and checks that it did what was asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

from .plan import BENCH, RETRIES, Peer, Scenario

RUN_LIMIT = 60  # seconds; a client that hangs is killed
CORES = sorted(os.sched_getaffinity(0))


class Failed(Exception):
    """A client that did not do what was asked, and why."""


class Server:
    """The load server in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._data, self._control = process.stdout.readline().split()

    def url(self, path: str) -> str:
        return f"http://{self._data}/{path}"

    def begin(self, every: int) -> None:
        self._steer(f"begin/{every}")

    def end(self) -> dict:
        return self._steer("end")

    def use(self, cores: list[int]) -> None:
        os.sched_setaffinity(self._process.pid, cores)

    def _steer(self, path: str) -> dict:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{self._control}/{path}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def load_server(built: Path):
    """Starts the server; it ends with its standard input, so also if this process dies."""
    process = subprocess.Popen([built / "bench-server"], stdin=PIPE, stdout=PIPE, text=True)
    try:
        yield Server(process)
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def run(server: Server, peer: Peer, scenario: Scenario, warm: float, seconds: float) -> dict:
    """Measures one cell once. Raises `Failed` if the client fails, or if bytes or sends are not what they must be.

    With one call in flight client and server are on different cores: left alone, the scheduler now and then puts both on
    one, which is three times as fast, and chance decides. With more in flight both may use all cores.
    """
    apart = scenario.in_flight == 1 and len(CORES) > 1
    server.use(CORES[-1:] if apart else CORES)
    server.begin(scenario.every)
    arguments = [server.url(scenario.path), scenario.in_flight, warm, seconds, RETRIES]
    report = _output(peer.command + [str(a) for a in arguments], CORES[:-1] if apart else CORES)
    counts = server.end()
    _check(report, counts, scenario)
    return {
        "us": report["wall"] / report["calls"] * 1e6,
        "cpu_us": report["cpu"] / report["calls"] * 1e6,
        "peak_mib": report["peak_kib"] / 1024,
        "growth_mib": (report["peak_kib"] - report["bare_kib"]) / 1024,
        "import_ms": None if report["import"] is None else report["import"] * 1e3,
        "start_ms": report["start"] * 1e3,
        "connections": counts["connections"],
    }


def _output(command: list[str], cores: list[int]) -> dict:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    os.sched_setaffinity(0, cores)  # the child inherits it
    try:
        process = subprocess.Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, env=environment, start_new_session=True)
    except FileNotFoundError:
        raise Failed(f"there is no {Path(command[0]).name}") from None
    try:
        output, errors = process.communicate(timeout=RUN_LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {RUN_LIMIT} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != 0:
        raise Failed(_reason(errors) or f"ended with {process.returncode}")
    return json.loads(output)


def _reason(errors: str) -> str:
    """The line that names the error: the last one in Python, one that begins with a class in Node. Without paths of this machine."""
    lines = [line.strip() for line in errors.splitlines() if "Error" in line.split(":")[0]] or errors.strip().splitlines()[-1:]
    return lines[-1].replace(str(BENCH), "bench")[:160] if lines else ""


def _check(report: dict, counts: dict, scenario: Scenario) -> None:
    # Each call succeeded once, and each failure was repeated once.
    sends = report["all_calls"] + counts["failures"]
    if counts["requests"] != sends:
        raise Failed(f"{counts['requests']} sends where {sends} were due")
    length = {"small": 11, "large": 100 * 1024, "upload": 11}[scenario.path]
    if report["bytes"] != report["all_calls"] * length:
        raise Failed(f"{report['bytes']} bytes where {report['all_calls'] * length} were due")
    sum_ = 0
    for i in range(length):
        sum_ = (sum_ * 31 + ord("a") + i % 23) & 0xFFFFFFFF
    if report["checksums"] != [sum_, sum_]:
        raise Failed("a body is not the one the server sent")
