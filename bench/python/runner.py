"""Measures one Python client: `runner.py SURFACE PEER URL IN_FLIGHT WARM SECONDS RETRIES`. The protocol is described in bench/README.md."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from contextlib import AsyncExitStack, ExitStack
from typing import NamedTuple


class Task(NamedTuple):
    """What the orchestrator asks for."""

    url: str
    in_flight: int
    warm: float
    seconds: float
    retries: int


class Done(NamedTuple):
    """What one worker, or all workers of a phase, did."""

    calls: int
    bytes: int
    wall: float
    last: bytes


def checked(reply):
    """The body of a reply that is what the server has to give."""
    status, body = reply
    if status != 200:
        raise RuntimeError(f"status {status}")
    return body


def total(parts, begin):
    """One phase out of what its workers did."""
    wall = time.perf_counter() - begin
    return Done(sum(p.calls for p in parts), sum(p.bytes for p in parts), wall, parts[-1].last)


def blocking_worker(call, seconds):
    end = time.perf_counter() + seconds
    calls = size = 0
    while True:
        body = checked(call())
        calls += 1
        size += len(body)
        if time.perf_counter() >= end:
            return Done(calls, size, 0, body)


def blocking_phase(workers, seconds):
    """Keeps one call going per worker, each in a thread of its own, or on the main thread if there is one worker."""
    if len(workers) == 1:
        begin = time.perf_counter()
        return total([blocking_worker(workers[0], seconds)], begin)
    parts, errors = [], []
    ready = threading.Barrier(len(workers) + 1)

    def run(call):
        ready.wait()
        try:
            parts.append(blocking_worker(call, seconds))
        except BaseException as error:  # a panic is no Exception
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in workers]
    for thread in threads:
        thread.start()
    ready.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"{len(errors)} workers failed, the first with {errors[0]!r}") from errors[0]
    return total(parts, begin)


async def async_worker(call, seconds):
    end = time.perf_counter() + seconds
    calls = size = 0
    while True:
        body = checked(await call())
        calls += 1
        size += len(body)
        if time.perf_counter() >= end:
            return Done(calls, size, 0, body)


async def async_phase(call, in_flight, seconds):
    import asyncio

    begin = time.perf_counter()
    return total(await asyncio.gather(*(async_worker(call, seconds) for _ in range(in_flight))), begin)


def measure_blocking(open_client, modules, task):
    """What the report says of a blocking client."""
    bare, start = peak_kib(), time.perf_counter()
    load(modules)
    imported = time.perf_counter()
    with ExitStack() as stack:
        workers = open_client(stack, task)
        first = checked(workers[0]())
        started = time.perf_counter()
        warm = blocking_phase(workers, task.warm)
        cpu = time.process_time()
        timed = blocking_phase(workers, task.seconds)
        cpu = time.process_time() - cpu
        return report(first, warm, timed, cpu) | {"import": imported - start, "start": started - start, "bare_kib": bare}


async def measure_async(open_client, modules, task):
    """What the report says of an asynchronous client."""
    bare, start = peak_kib(), time.perf_counter()
    load(modules)
    imported = time.perf_counter()
    async with AsyncExitStack() as stack:
        call = await open_client(stack, task)
        first = checked(await call())
        started = time.perf_counter()
        warm = await async_phase(call, task.in_flight, task.warm)
        cpu = time.process_time()
        timed = await async_phase(call, task.in_flight, task.seconds)
        cpu = time.process_time() - cpu
        return report(first, warm, timed, cpu) | {"import": imported - start, "start": started - start, "bare_kib": bare}


def load(modules):
    for module in modules:
        importlib.import_module(module)


def report(first, warm, timed, cpu):
    return {
        "calls": timed.calls,
        "all_calls": 1 + warm.calls + timed.calls,
        "wall": timed.wall,
        "cpu": cpu,
        "bytes": len(first) + warm.bytes + timed.bytes,
        "checksums": [checksum(first), checksum(timed.last)],
        "peak_kib": peak_kib(),
    }


def checksum(body):
    sum_ = 0
    for byte in body:
        sum_ = (sum_ * 31 + byte) & 0xFFFFFFFF
    return sum_


def peak_kib():
    """Largest memory of this process so far. Not `ru_maxrss`, which starts with that of the process that started us."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main():
    surface, name, url, in_flight, warm, seconds, retries = sys.argv[1:]
    task = Task(url, int(in_flight), float(warm), float(seconds), int(retries))
    if surface == "blocking":
        from blocking import PEERS

        modules, open_client = PEERS[name]
        result = measure_blocking(open_client, modules, task)
    else:
        import asyncio

        from asynchronous import PEERS

        modules, open_client = PEERS[name]
        if surface == "uvloop":
            import uvloop

            result = uvloop.run(measure_async(open_client, modules, task))
        else:
            result = asyncio.run(measure_async(open_client, modules, task))
    print(json.dumps(result), flush=True)
    # Not through the interpreter's shutdown, in which threads of some clients abort the process: that is not what is measured.
    os._exit(0)


main()
