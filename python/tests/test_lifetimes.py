"""Cancelling, loops, threads, forks, signals, and the end of the process."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
import time
import weakref

import pytest
import reknock
import uvloop
from reknock._loop import _bridges, bridge

from .conftest import FAST, status

DONE, HANG = status(200, "done"), {"do": "hang"}


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request):
    return asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop


def run(main, new_loop):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def test_cancel_in_flight(serve, new_loop):
    script = serve(HANG)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            task = asyncio.create_task(client.get(script.url))
            while not await asyncio.to_thread(script.log):
                await asyncio.sleep(0.005)
            begun = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - begun < 0.25 and bridge().in_flight == 0

    run(main(), new_loop)
    script.until(lambda log: "client_gone_ms" in log[0])
    assert len(script.log()) == 1


def test_timeout_while_waiting(serve, new_loop):
    script = serve(status(503))

    async def main():
        async with reknock.AsyncClient(policy={"backoff": "30s"}) as client:
            begun = time.monotonic()
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await client.get(script.url)
            assert not isinstance(caught.value, reknock.HTTPError)
            assert 0.09 < time.monotonic() - begun < 0.6 and bridge().in_flight == 0

    run(main(), new_loop)
    assert len(script.log()) == 1


def test_cancels_at_random_points(serve, new_loop):
    script = serve(status(503), DONE)

    async def main():
        async with reknock.AsyncClient(policy={"backoff": "1ms", "budget": "none"}, retry_if=lambda attempt: None) as client:
            for _ in range(200):
                task = asyncio.create_task(client.get(script.url))
                await asyncio.sleep(random.uniform(0, 0.002))
                task.cancel()
                await asyncio.wait([task])
            assert bridge().in_flight == 0
            assert (await client.get(script.url)).status_code == 200

    run(main(), new_loop)


def test_close_ends_calls_in_flight(serve):
    script = serve(HANG)

    async def main():
        client = reknock.AsyncClient(policy=FAST)
        task = asyncio.create_task(client.get(script.url))
        while not await asyncio.to_thread(script.log):
            await asyncio.sleep(0.005)
        await client.aclose()
        with pytest.raises(reknock.ClientClosed):
            await task

    asyncio.run(main())


def test_one_client_in_several_loops_and_threads(serve, new_loop):
    script, seen = serve(DONE), []
    client = reknock.AsyncClient(policy=FAST)

    async def main():
        responses = await asyncio.gather(*(client.get(script.url) for _ in range(20)))
        seen.extend(response.status_code for response in responses)

    def work():
        for _ in range(3):
            run(main(), new_loop)

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


def test_bridges_go_with_their_loops(serve, new_loop):
    script = serve(DONE)
    gc.collect()
    files, before = len(os.listdir("/proc/self/fd")), len(_bridges)

    async def main():
        await client.get(script.url)
        return weakref.ref(bridge())

    client = reknock.AsyncClient(policy=FAST)
    bridges = [run(main(), new_loop) for _ in range(10)]
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
        while not await asyncio.to_thread(script.log):
            await asyncio.sleep(0.005)
        return weakref.ref(bridge())

    tasks = []
    ref = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    tasks[0]._log_destroy_pending = False
    tasks.clear()
    del loop
    gc.collect()
    assert ref() is None
    script.until(lambda log: "client_gone_ms" in log[0])


def python(code, url, **options):
    environment = {**os.environ, "URL": url}
    # A test run in the background inherits an interrupt that is ignored, and so would its children.
    interrupt = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    prelude = interrupt + "import os, sys, time, threading, asyncio, signal, reknock\nURL = os.environ['URL']\nFAST = {'backoff': '10ms', 'budget': 'none'}\n"
    return subprocess.Popen([sys.executable, "-X", "faulthandler", "-c", prelude + code], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("waiting", [False, True], ids=["in flight", "waiting"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_ctrl_c(serve, waiting, asynchronous):
    script = serve(status(503) if waiting else HANG)
    send = "asyncio.run(reknock.AsyncClient(policy={'backoff': '30s'}).get(URL))" if asynchronous else "reknock.get(URL, policy={'backoff': '30s'})"
    with python(f"try: {send}\nexcept KeyboardInterrupt: print('interrupted', time.monotonic())", script.url) as process:
        script.until(bool)
        time.sleep(0.05)
        begun = time.monotonic()
        process.send_signal(2)
        out, err = process.communicate(timeout=5)
    assert out.startswith("interrupted"), err
    assert float(out.split()[1]) - begun < 0.5
    assert len(script.log()) == 1
    if not waiting:
        script.until(lambda log: "client_gone_ms" in log[0])


def test_a_handler_that_does_not_raise_lets_the_call_go_on(serve):
    script = serve(status(200, "done", delay="300ms"))
    code = "signal.signal(signal.SIGUSR1, lambda *_: print('handled'))\nprint(reknock.get(URL).text)"
    with python(code, script.url) as process:
        script.until(bool)
        process.send_signal(10)
        out, err = process.communicate(timeout=5)
    assert out.split() == ["handled", "done"], err


FORK = """
import warnings; warnings.simplefilter('ignore')
shared, concurrent = reknock.Client(policy=FAST), reknock.AsyncClient(policy=FAST)
async def one(client): return (await client.get(URL)).status_code
def calls(client): return (client.get(URL).status_code, reknock.Client(policy=FAST).get(URL).status_code, asyncio.run(one(concurrent)), asyncio.run(one(reknock.AsyncClient())))
assert calls(shared) == (200,) * 4
stop = False
def load():
    while not stop: shared.get(URL)
threads = [threading.Thread(target=load) for _ in range(2)]
for thread in threads: thread.start()
bad = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if calls(shared) == (200,) * 4 else 1)
    bad += os.waitpid(child, 0)[1] != 0
stop = True
for thread in threads: thread.join()
print('bad', bad, calls(shared))
"""


def test_fork(serve):
    with python(FORK, serve(DONE).url) as process:
        out, err = process.communicate(timeout=50)
    assert out == "bad 0 (200, 200, 200, 200)\n", err


MULTIPROCESSING = """
import multiprocessing
client = reknock.Client(policy=FAST)
def status(_): return client.get(URL).status_code
if __name__ == '__main__':
    client.get(URL)
    with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(status, range(6)))
"""


def test_multiprocessing(serve):
    with python(MULTIPROCESSING, serve(DONE).url) as process:
        out, err = process.communicate(timeout=30)
    assert out == "[200, 200, 200, 200, 200, 200]\n", err


EXITS = {
    "pending tasks": "async def main():\n    [asyncio.ensure_future(reknock.AsyncClient().get(URL)) for _ in range(20)]\n    await asyncio.sleep(0.1)\nasyncio.run(main())",
    "exit in a task": "async def main():\n    [asyncio.ensure_future(reknock.AsyncClient().get(URL)) for _ in range(20)]\n    await asyncio.sleep(0.1)\n    sys.exit(3)\nasyncio.run(main())",
    "daemon thread in a call": "threading.Thread(target=reknock.get, args=(URL,), daemon=True).start()\ntime.sleep(0.1)",
    "daemon loop under load": "async def main():\n    async def work():\n        while True:\n            try: await asyncio.wait_for(reknock.AsyncClient().get(URL), 0.01)\n            except TimeoutError: pass\n    await asyncio.gather(*(work() for _ in range(20)))\nthreading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()\ntime.sleep(0.2)",
    "loop never closed": "loop = asyncio.new_event_loop()\ntask = loop.create_task(reknock.AsyncClient().get(URL))\nloop.run_until_complete(asyncio.sleep(0.1))",
    "os._exit": "threading.Thread(target=reknock.get, args=(URL,)).start()\ntime.sleep(0.1)\nos._exit(0)",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit_with_calls_in_flight(serve, name):
    script = serve(HANG)
    processes = [python(EXITS[name], script.url) for _ in range(3)]
    for process in processes:
        with process:
            _, err = process.communicate(timeout=10)
            assert process.returncode == (3 if "sys.exit" in EXITS[name] else 0), err
            assert "panicked" not in err and "Fatal" not in err


def test_nothing_is_started_by_importing():
    code = "import reknock, threading, os; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
