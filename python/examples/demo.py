"""`make demo`: what reknock does about a flaky server, told by the timeline of each call."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import urllib.request
from typing import Any

import reknock

UNAVAILABLE = {"do": "status", "status": 503}
DONE = {"do": "status", "status": 200, "body": "done"}


def told(call: str, result: reknock.Response | reknock.HTTPError) -> None:
    """Prints how a call went."""
    said = f"{result.status_code} {result.text!r}" if isinstance(result, reknock.Response) else f"{result.kind}: {result}"
    print(f"   {call} -> {said}")
    print("".join(f"   {line}\n" for line in result.explain().splitlines()), end="")


def attempt(call: str, client: reknock.Client, method: str, url: str, **options: Any) -> None:
    """Makes one call and tells about it."""
    try:
        told(call, client.request(method, url, **options))
    except reknock.HTTPError as error:
        told(call, error)


async def concurrently(url: str) -> None:
    """Three calls at once; a coroutine decides about retries."""

    async def ask_a_friend(seen: reknock.Attempt) -> bool | None:
        await asyncio.sleep(0.01)
        return seen.status_code == 404 or None

    async with reknock.AsyncClient(retry_if=ask_a_friend, policy={"backoff": "20ms"}) as client:
        for response in await asyncio.gather(*(client.get(url) for _ in range(3))):
            told("await get", response)


def play(control: str) -> None:
    """Plays all scenes."""

    def script(*outcomes: dict[str, Any]) -> str:
        request = urllib.request.Request(f"{control}/scripts", json.dumps(outcomes).encode())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return str(json.load(answer)["url"])

    print("\n== Python: success on attempt 3, after a 503 and a reset")
    with reknock.Client(policy={"backoff": {"base": "50ms"}}) as client:
        attempt("get", client, "GET", script(UNAVAILABLE, {"do": "reset"}, DONE))

    print("\n== Python: a deadline that cuts a hanging attempt")
    with reknock.Client(timeout=0.7, policy={"per_try_timeout": "400ms", "backoff": "100ms"}) as client:
        attempt("get", client, "GET", script({"do": "hang"}))

    print("\n== Python: a POST that is not repeated, and why")
    with reknock.Client() as client:
        attempt("post", client, "POST", script({"do": "reset"}, DONE), json={"amount": 1})

    print("\n== Python: asyncio, with a coroutine as retry_if")
    asyncio.run(concurrently(script({"do": "status", "status": 404}, DONE)))


def main() -> None:
    """Starts the scripted server and plays against it."""
    with subprocess.Popen([os.environ["REKNOCK_TEST_SERVER"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        play(server.stdout.readline().split()[1])
        server.stdin.close()


if __name__ == "__main__":
    main()
