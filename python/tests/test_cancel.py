"""Cancelling, in every state and by everything that cancels."""

from __future__ import annotations

import asyncio
import random
import signal
import socket

import pytest
import reknock
from reknock._loop import bridge

from .conftest import FAST, arrived, child, status

HANG, NO, DONE = {"do": "hang"}, status(503), status(200, "done")
# A call that is not cancelled does not end in the time that a test has.
LONG = {"backoff": "1h", "timeout": "none"}


def test_in_flight(serve, run):
    script = serve(HANG)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            task = asyncio.create_task(client.get(script.url))
            await arrived(script)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert bridge().in_flight == 0

    run(main())
    script.until(lambda log: "client_gone_ms" in log[0])
    assert len(script.log()) == 1


def test_while_waiting(serve, run):
    script = serve(NO)

    async def main():
        async with reknock.AsyncClient(policy=LONG) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await client.get(script.url)
            assert not isinstance(caught.value, reknock.HTTPError) and bridge().in_flight == 0

    run(main())
    assert len(script.log()) == 1


def whole(events):
    """The kinds of events of each call that told some, which must have as many ends as starts."""
    calls = {}
    for event in events:
        calls.setdefault(event.call.call_id, []).append(event)
    for told in calls.values():
        kinds = [event.kind for event in told]
        assert kinds.count("attempt_start") == kinds.count("attempt_end") and kinds.count("end") == 1 and kinds[-1] == "end", kinds
        assert len(told[-1].attempts) == kinds.count("attempt_end")
    return [told[-1] for told in calls.values()]


def test_a_cancelled_call_ends_for_observers(serve, run):
    def interrupted(attempt):
        return asyncio.sleep(3600)

    async def main():
        async with reknock.AsyncClient(policy=LONG) as client:
            for script, callbacks, error in (HANG, {}, "cancelled"), (NO, {}, None), (NO, {"retry_if": interrupted}, None), (NO, {"delay": interrupted}, None):
                events = []
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.get(serve(script).url, on_event=events.append, **callbacks), 0.2)
                (end,) = whole(events)
                assert (end.stop_reason, end.failed, [record.error for record in end.attempts]) == ("cancelled", False, [error])

    run(main())


def test_events_at_random_points(serve, run):
    script = serve(NO, DONE)
    events = []

    async def main():
        quick = {"backoff": "1ms", "budget": "none"}
        async with reknock.AsyncClient(policy=quick, retry_if=lambda attempt: None, on_event=events.append) as client:
            for _ in range(300):
                task = asyncio.create_task(client.get(script.url))
                await asyncio.sleep(random.uniform(0, 0.004))
                task.cancel()
                await asyncio.wait([task])
            # What comes between the cancel and the task's next turn is told as well.
            tasks = [asyncio.create_task(client.get(script.url)) for _ in range(100)]
            while len(events) < 100:
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    run(main())
    assert {end.stop_reason for end in whole(events)} >= {"cancelled"}


def test_at_random_points(serve, run):
    script = serve(NO, DONE)

    async def main():
        async with reknock.AsyncClient(policy={"backoff": "1ms", "budget": "none"}, retry_if=lambda attempt: None) as client:
            for _ in range(200):
                task = asyncio.create_task(client.get(script.url))
                await asyncio.sleep(random.uniform(0, 0.002))
                task.cancel()
                await asyncio.wait([task])
            assert bridge().in_flight == 0
            assert (await client.get(script.url)).status_code == 200

    run(main())


def test_close_ends_calls_in_flight(serve, run):
    script = serve(HANG)

    async def main():
        client = reknock.AsyncClient(policy=FAST)
        task = asyncio.create_task(client.get(script.url))
        await arrived(script)
        await client.aclose()
        with pytest.raises(reknock.ClientClosed):
            await task

    run(main())


@pytest.mark.parametrize("waiting", [False, True], ids=["in flight", "waiting"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_ctrl_c(serve, waiting, asynchronous):
    script = serve(NO if waiting else HANG)
    options = "policy={'backoff': '1h', 'timeout': 'none'}, delay=lambda attempt: print('waits', flush=True), on_event=lambda event: told.append(event.kind)"
    send = f"asyncio.run(reknock.AsyncClient().get(URL, {options}))" if asynchronous else f"reknock.get(URL, {options})"
    code = f"told = []\ntry: {send}\nexcept KeyboardInterrupt: print('interrupted', time.monotonic(), *told)"
    with child(code, script.url) as process:
        script.until(bool)
        if waiting:
            assert process.stdout.readline() == "waits\n"
        begun = process.interrupt()
        out, err = process.communicate(timeout=5)
    assert out.startswith("interrupted"), err
    # A tenth of a second is wanted; five times that is for busy machines.
    assert float(out.split()[1]) - begun < 0.5
    assert [kind for kind in out.split()[2:] if kind != "retry"] == ["attempt_start", "attempt_end", "end"]
    assert len(script.log()) == 1
    if not waiting:
        script.until(lambda log: "client_gone_ms" in log[0])


def test_a_handler_that_does_not_raise_lets_the_call_go_on():
    """The answer leaves when the handler has run."""
    code = "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\nprint(reknock.get(URL).text)"
    with socket.create_server(("127.0.0.1", 0)) as server, child(code, "http://127.0.0.1:%d/" % server.getsockname()[1]) as process:
        with server.accept()[0] as connection:
            assert connection.recv(65536)
            process.send_signal(signal.SIGUSR1)
            assert process.stdout.readline() == "handled\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
            out, err = process.communicate(timeout=20)
    assert out == "done\n", err
