"""Event loops of every kind, threads, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest
import reknock
import trio
import trio.testing
from reknock import _trio
from reknock._loop import _bridges, bridge
from reknock.testing import Script

from .conftest import FAST, arrived, status

DONE, HANG, NO = status(200, "done"), {"do": "hang"}, status(503)
URL = "http://service.test/"


def test_callbacks_and_many_calls(serve, run):
    script = serve(DONE)

    async def retry_if(attempt):
        await asyncio.sleep(0)
        return attempt.number < 2

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            plain = await asyncio.gather(*(client.get(script.url) for _ in range(50)))
            asked = await asyncio.gather(*(client.get(script.url, retry_if=retry_if) for _ in range(20)))
            return {len(response.attempts) for response in plain}, {len(response.attempts) for response in asked}

    assert run(main()) == ({1}, {2})


def test_one_client_in_several_loops_and_threads(serve, run):
    script, seen = serve(DONE), []
    client = reknock.AsyncClient(policy=FAST)

    async def main():
        responses = await asyncio.gather(*(client.get(script.url) for _ in range(20)))
        seen.extend(response.status_code for response in responses)

    def work():
        for _ in range(3):
            run(main())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 240


def test_one_client_in_several_threads(serve):
    script, seen = serve(DONE), []

    with reknock.Client(policy=FAST) as client:
        threads = [threading.Thread(target=lambda: seen.extend(client.get(script.url).status_code for _ in range(25))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [200] * 200


def test_bridges_go_with_their_loops(serve, run):
    script = serve(DONE)
    gc.collect()
    files, before = len(os.listdir("/proc/self/fd")), len(_bridges)

    async def main():
        await client.get(script.url)
        return weakref.ref(bridge())

    client = reknock.AsyncClient(policy=FAST)
    bridges = [run(main()) for _ in range(10)]
    gc.collect()
    assert not any(ref() for ref in bridges)
    assert len(_bridges) <= before
    assert len(os.listdir("/proc/self/fd")) < files + 5


def test_a_loop_closed_under_a_running_call(serve, new_loop):
    script = serve(HANG)
    client = reknock.AsyncClient(policy=FAST)
    loop = new_loop()

    async def main():
        tasks.append(asyncio.ensure_future(client.get(script.url)))
        await arrived(script)
        tasks.extend(asyncio.all_tasks() - {asyncio.current_task(), tasks[0]})
        return weakref.ref(bridge())

    tasks = []
    ref = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False
    tasks.clear()
    del loop, task
    gc.collect()
    assert ref() is None
    script.until(lambda log: "client_gone_ms" in log[0])


def test_calls_after_all_tasks_were_cancelled(serve, run):
    script = serve(DONE)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            await client.get(script.url)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return (await client.get(script.url)).status_code

    assert run(main()) == 200


def test_loops_that_check_themselves(serve, new_loop):
    script = serve(DONE)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client, asyncio.timeout(5):
            return (await client.get(script.url)).status_code

    with asyncio.Runner(debug=True, loop_factory=new_loop) as runner:
        assert runner.run(main()) == 200


def test_nobody_runs_a_loop():
    with pytest.raises(RuntimeError):
        reknock.AsyncClient().get(URL).send(None)


class TestTrio:
    """The same in trio."""

    def test_calls(self, serve):
        seen = []

        async def retry_if(attempt):
            await trio.lowlevel.checkpoint()
            seen.append((attempt.number, trio.lowlevel.current_task()))

        async def main():
            async with reknock.AsyncClient(policy=FAST) as client:
                script = serve(NO, DONE)
                response = await client.get(script.url, retry_if=retry_if)
                assert len(response.attempts) == 2 and seen[-2] == (1, trio.lowlevel.current_task())
                async with trio.open_nursery() as nursery:
                    for _ in range(30):
                        nursery.start_soon(client.get, script.url)
                async with client.stream("GET", script.url) as response:
                    return await response.aread()

        assert trio.run(main) == b"done" == trio.run(main)

    def test_what_is_raised(self, serve):
        async def main():
            async with reknock.AsyncClient(policy=False) as client:
                with pytest.raises(reknock.ReadError):
                    await client.get(serve({"do": "reset"}).url)
                with pytest.raises(LookupError):
                    await client.get(serve(DONE).url, retry_if=lambda attempt: {}["gone"], policy=reknock.Policy())

        trio.run(main)

    def test_cancelling(self, serve):
        script = serve(HANG)
        events = []

        async def main():
            async with reknock.AsyncClient(policy=FAST, on_event=lambda event: events.append(event.kind)) as client, trio.open_nursery() as nursery:
                nursery.start_soon(client.get, script.url)
                await trio.to_thread.run_sync(script.until, bool)
                assert bridge().in_flight == 1
                nursery.cancel_scope.cancel()
            return bridge().in_flight

        assert trio.run(main) == 0
        assert events == ["attempt_start", "attempt_end", "end"]
        script.until(lambda log: "client_gone_ms" in log[0])

    def test_the_deadline_covers_coroutines(self, serve):
        async def retry_if(attempt):
            await trio.sleep_forever()

        async def main():
            async with reknock.AsyncClient(policy=FAST) as client:
                with pytest.raises(reknock.DeadlineExceeded) as caught:
                    await client.get(serve(NO).url, retry_if=retry_if, timeout=0.1)
                assert caught.value.stop_reason == "deadline"

                async def outer():
                    await client.get(serve(NO).url, retry_if=retry_if)

                with trio.move_on_after(0.1) as scope:
                    await outer()
                return scope.cancelled_caught, bridge().in_flight

        assert trio.run(main) == (True, 0)

    def test_the_deadline_covers_producers(self, serve):
        async def pieces():
            yield b"a"
            await trio.sleep_forever()

        async def main():
            async with reknock.AsyncClient(policy=FAST) as client:
                with pytest.raises(reknock.DeadlineExceeded):
                    await client.put(serve(DONE).url, content=pieces(), timeout=0.1)

        trio.run(main)

    def test_what_comes_with_a_cancel(self):
        """A future may be settled between the cancel and its task."""

        async def main():
            async def wait():
                await future

            future = _trio.Future()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
                future.set_result(1)
            return await future

        assert trio.run(main) == 1

    def test_scripts(self):
        async def main():
            with Script([503, 200]) as script:
                await reknock.AsyncClient(policy=FAST).get(URL)
            return script.waits

        assert trio.run(main) == (0.01,)
