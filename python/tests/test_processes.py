"""Forks, workers, servers that fork, and the end of the process."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

import pytest

from .conftest import child, status

DONE, HANG = status(200, "done"), {"do": "hang"}

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
    with child(FORK, serve(DONE).url) as process:
        out, err = process.communicate(timeout=50)
    assert out == "bad 0 (200, 200, 200, 200)\n", err


# Workers import the script again where they are not forked, so it is a file.
WORKERS = """
import asyncio, multiprocessing, os, sys, reknock
URL, METHOD = sys.argv[1:]
client, concurrent = reknock.Client(policy={'backoff': '10ms'}), reknock.AsyncClient(policy={'backoff': '10ms'})
async def one(): return (await concurrent.get(URL)).status_code
def work(_): return client.get(URL).status_code, asyncio.run(one())
if __name__ == '__main__':
    assert work(0) == (200, 200)
    with multiprocessing.get_context(METHOD).Pool(2) as pool: print(set(pool.map(work, range(6))))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(serve, tmp_path, method):
    (tmp_path / "workers.py").write_text(WORKERS)
    ran = subprocess.run([sys.executable, "-W", "ignore", tmp_path / "workers.py", serve(DONE).url, method], capture_output=True, text=True, timeout=50)
    assert ran.stdout == "{(200, 200)}\n", ran.stderr


APPLICATION = """
import os, reknock
client = reknock.Client(policy={'backoff': '10ms'})
client.get(os.environ['URL'])
def application(environ, start_response):
    response = client.get(os.environ['URL'])
    start_response('200 OK', [('content-type', 'text/plain')])
    return [f'{response.status_code} {os.getpid()} {os.getppid()}'.encode()]
"""


# A worker loses a signal that comes before it has set its handlers, and gunicorn then waits for it in vain.
CONFIG = "def post_worker_init(worker): worker.log.info('Ready')"


def test_a_server_that_forks_its_workers(serve, tmp_path):
    """gunicorn: the application is loaded, and has made a call, before the workers are forked."""
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "config.py").write_text(CONFIG)
    code = "sys.argv[1:] = ['--config', os.environ['FOLDER'] + '/config.py', '--preload', '--workers=2', '--bind=127.0.0.1:0', '--chdir', os.environ['FOLDER'], '--no-control-socket', 'application']\nfrom gunicorn.app.wsgiapp import run; run()"
    with child(code, serve(DONE).url, FOLDER=str(tmp_path)) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = next(line for line in lines if "Listening at" in line).split("Listening at: ")[1].split()[0]
            for _ in range(2):
                next(line for line in lines if "Ready" in line)
            open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
            told = [open_(address, timeout=20).read().decode().split() for _ in range(20)]
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert {status for status, _, _ in told} == {"200"} and {parent for _, _, parent in told} == {str(process.pid)}
    assert str(process.pid) not in {worker for _, worker, _ in told}


# Each begins calls, waits until they are in flight, and ends in its own way.
EXITS = {
    "pending tasks": "async def main():\n    [asyncio.ensure_future(reknock.AsyncClient().get(URL)) for _ in range(20)]\n    await asyncio.to_thread(go)\nasyncio.run(main())",
    "exit in a task": "async def main():\n    [asyncio.ensure_future(reknock.AsyncClient().get(URL)) for _ in range(20)]\n    await asyncio.to_thread(go)\n    sys.exit(3)\nasyncio.run(main())",
    "daemon thread in a call": "threading.Thread(target=reknock.get, args=(URL,), daemon=True).start()\ngo()",
    "daemon loop under load": "async def main():\n    async def work():\n        while True:\n            try: await asyncio.wait_for(reknock.AsyncClient().get(URL), 0.01)\n            except TimeoutError: pass\n    await asyncio.gather(*(work() for _ in range(20)))\nthreading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()\ngo()",
    "loop never closed": "loop = asyncio.new_event_loop()\ntask = loop.create_task(reknock.AsyncClient().get(URL))\nloop.run_until_complete(loop.run_in_executor(None, go))",
    "os._exit": "threading.Thread(target=reknock.get, args=(URL,)).start()\ngo()\nos._exit(0)",
    "a call at exit": "import atexit\natexit.register(lambda: reknock.get(URL, timeout=0.1))\ngo()",
    "a body in flight": "threading.Thread(target=reknock.post, args=(URL,), kwargs={'content': bytes(10**7)}, daemon=True).start()\ngo()",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit_with_calls_in_flight(serve, name):
    script = serve(HANG)
    processes = [child("go = sys.stdin.readline\n" + EXITS[name], script.url) for _ in range(3)]
    if name != "a call at exit":
        script.until(lambda log: len(log) >= 3)
    for process in processes:
        with process:
            _, err = process.communicate("go\n", timeout=20)
            assert process.returncode == (3 if "sys.exit" in EXITS[name] else 0), err
            assert "panicked" not in err and "Fatal" not in err


def test_nothing_is_started_by_importing():
    code = "import reknock, threading, os; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
