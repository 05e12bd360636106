"""Calls while the server is renewed again and again: what it saw against what the client recorded."""

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import reknock

CALLERS = 50
# A call that takes longer than its deadline by so much hangs.
DEADLINE, PATIENCE = 20, 40
POLICY = reknock.Policy(timeout=f"{DEADLINE}s", max_retries=8, backoff={"base": "50ms", "max": "1s"}, budget=None)
LARGE = b"x" * 300_000


@dataclass
class Storm:
    """What came of it."""

    renewals: int = 0
    calls: int = 0
    hung: int = 0
    peak: int = 0
    left: int = 0
    failed: Counter = field(default_factory=Counter)
    # By the call's number: its attempts.
    attempts: dict = field(default_factory=dict)
    answered: set = field(default_factory=set)


def connections(port):
    """How many sockets of this process are connected to this port, by what the system says."""
    ours = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            ours.add(os.readlink(f"/proc/self/fd/{name}").removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    with open("/proc/self/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(row[2].endswith(f":{port:04X}") and row[9] in ours for row in rows)


async def storm(server, http2, seconds):
    """`CALLERS` tasks call until the time is over, GET and POST in turns, each POST of ten with a large body."""
    came, end, numbers = Storm(), time.monotonic() + seconds, iter(range(1 << 40))
    url, port = server.url(http2), server.secure if http2 else server.plain
    options = {"policy": POLICY, "proxy": None, "verify": server.certificate, "http2": "auto" if http2 else None, "cookies": False}

    async def call(client):
        number = next(numbers)
        came.calls += 1
        # Odd numbers are POSTs.
        content = None if number % 2 == 0 else LARGE if number % 20 == 1 else b"hello"
        request = client.request("POST" if number % 2 else "GET", f"{url}/small?id={number}", content=content)
        try:
            response = await asyncio.wait_for(request, PATIENCE)
            came.attempts[number] = response.attempts
            came.answered.add(number)
        except TimeoutError:
            came.hung += 1
        except reknock.RequestError as error:
            came.attempts[number] = error.attempts
            last = error.attempts[-1] if error.attempts else None
            came.failed[f"{'POST' if number % 2 else 'GET'} {error.kind}, {last and last.evidence}"] += 1

    async def caller(client):
        while time.monotonic() < end:
            await call(client)

    async def renewer():
        while time.monotonic() < end:
            pause = random.uniform(0.15, 0.5)
            await asyncio.sleep(pause)
            came.peak = max(came.peak, await asyncio.to_thread(connections, port))
            await asyncio.sleep(pause)
            await server.renew()
            came.renewals += 1

    async with reknock.AsyncClient(**options) as client:
        await asyncio.gather(renewer(), *(caller(client) for _ in range(CALLERS)))
    # What was closed is closed by tasks that run now.
    for _ in range(100):
        came.left = connections(port)
        if not came.left:
            break
        await asyncio.sleep(0.05)
    return came


def judge(server, http2, came):
    """The row of the table, and the promises that were broken."""
    seen = server.seen()
    records = [record for attempts in came.attempts.values() for record in attempts]
    twice = sum(1 for number, times in seen.items() if number % 2 and times > 1)
    counted = {number: sum(record.evidence != "not_sent" for record in attempts) for number, attempts in came.attempts.items()}
    beyond = sum(1 for number, times in seen.items() if times > counted.get(number, 1 << 40))
    unseen = sum(1 for number in came.answered if not seen.get(number))
    opened = sum(record.reused is False for record in records)
    row = {
        "server": f"{server}, {'HTTP/2' if http2 else 'HTTP/1'}, {server.renewed_by}",
        "times": came.renewals,
        "calls": came.calls,
        "retries": len(records) - len(came.attempts),
        "failed GET": sum(count for what, count in came.failed.items() if what.startswith("GET")),
        "failed POST": sum(count for what, count in came.failed.items() if what.startswith("POST")),
        "POST twice": twice,
        "seen > recorded": beyond,
        "hung": came.hung,
        "connections": opened,
        "most at once": came.peak,
        "left": came.left,
    }
    broken = [f"{row['server']}: {name}: {row[name]}" for name in ("POST twice", "seen > recorded", "hung", "left") if row[name]]
    if came.renewals < 5 or len(came.answered) < came.calls / 2:
        broken.append(f"{row['server']}: proves nothing: {came.renewals} times renewed, {len(came.answered)} of {came.calls} calls answered")
    if unseen:
        broken.append(f"{row['server']}: {unseen} answers of requests that are not in the server's log")
    # HTTP/1: one for each call in flight, and as many that are closing.
    if came.peak > 2 * CALLERS:
        broken.append(f"{row['server']}: {came.peak} connections at once for {CALLERS} callers")
    return row, broken
