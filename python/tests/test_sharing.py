"""One budget for all processes of a host: servers with many workers, and what one upstream sees of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import reknock

from .conftest import Script, child, status

# A reserve of 60 retries and nothing else, for as long as a test runs.
POLICY = {"max_retries": 3, "backoff": "0s", "budget": {"ratio": 0, "min_per_second": 1, "ttl": "60s", "share": "host"}}

APPLICATION = f"""
import os, reknock
client = reknock.Client(policy={POLICY}, share_required=True)
def application(environ, start_response):
    response = client.get(os.environ['URL'])
    start_response('200 OK', [('content-type', 'text/plain')])
    return [f'{{response.status_code}} {{os.getpid()}}'.encode()]
"""


@contextmanager
def workers(number: int, script: Script, folder: Path) -> Iterator[Callable[[], tuple[str, str]]]:
    """gunicorn with so many workers. Asked, one of them calls the script, and tells the status and its number."""
    (folder / "application.py").write_text(APPLICATION)
    code = f"sys.argv[1:] = ['--workers={number}', '--bind=127.0.0.1:0', '--chdir', {str(folder)!r}, '--no-control-socket', 'application']\nfrom gunicorn.app.wsgiapp import run; run()"
    open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    with child(code, script.url, REKNOCK_BUDGET_DIR=str(folder / "budgets")) as process:
        try:
            assert process.stderr
            lines = iter(process.stderr.readline, "")
            address = next(line for line in lines if "Listening at" in line).split("Listening at: ")[1].split()[0]

            def ask() -> tuple[str, str]:
                code, worker = open_(address, timeout=30).read().decode().split()
                return code, worker

            yield ask
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_the_workers_of_a_server_send_what_one_purse_allows(serve, tmp_path):
    script, told = serve(status(503)), []
    with workers(8, script, tmp_path) as ask, ThreadPoolExecutor(8) as pool:
        # Until each of them has worked; who is asked is the kernel's choice.
        while len(told) < 120 or len({worker for _, worker in told}) < 8:
            told += pool.map(lambda _: ask(), range(8))
            assert len(told) < 4000
    assert {code for code, _ in told} == {"503"}
    assert len(script.log()) == len(told) + 60


CLUSTER = """
const cluster = require('node:cluster');
const { createClient } = require(process.env.REKNOCK);
const calls = async () => {
  const client = createClient({ policy: JSON.parse(process.env.POLICY), shareRequired: true });
  for (let i = 0; i < 30; i++) if ((await client(process.env.UPSTREAM)).status !== 503) process.exit(1);
  process.exit(0);
};
if (!cluster.isPrimary) calls();
else {
  for (let i = 0; i < 4; i++) cluster.fork();
  cluster.on('exit', (worker, code) => { if (code) process.exit(code); });
}
"""
NODE = Path(__file__).parents[2] / "node"


@pytest.mark.skipif(not (shutil.which("node") and list(NODE.glob("*.node"))), reason="the Node package is not built")
def test_workers_of_two_languages_send_what_one_purse_allows(serve, tmp_path):
    script, told = serve(status(503)), []
    (tmp_path / "cluster.js").write_text(CLUSTER)
    env = {"REKNOCK": str(NODE), "UPSTREAM": script.url, "POLICY": json.dumps(POLICY), "REKNOCK_BUDGET_DIR": str(tmp_path / "budgets")}
    with workers(8, script, tmp_path) as ask, ThreadPoolExecutor(8) as pool:
        cluster = subprocess.Popen(["node", tmp_path / "cluster.js"], env={**os.environ, **env})
        while cluster.poll() is None or len({worker for _, worker in told}) < 8:
            told += pool.map(lambda _: ask(), range(8))
            assert len(told) < 20_000
    assert cluster.returncode == 0 and {code for code, _ in told} == {"503"}
    assert len(script.log()) == len(told) + 4 * 30 + 60


def test_readings_tell_who_shares_it(serve, tmp_path):
    script = serve(status(503))
    first, second = (reknock.Client(policy=POLICY, budget_dir=tmp_path / "budgets") for _ in range(2))
    first.get(script.url)
    second.get(script.url)
    reading = second.budget(script.url)
    assert reading and (reading.balance, reading.withdrawals, reading.own_withdrawals) == (54, 6, 3)
    assert (reading.share, reading.path, reading.why) == ("host", str(next((tmp_path / "budgets").iterdir())), None)
    assert (reading.own_deposits, reading.own_refusals, reading.resets) == (0, 0, 0)
    assert repr(reading).endswith("share='host')")


def test_what_cannot_be_shared_says_why(serve, tmp_path):
    script, nowhere = serve(status(200)), tmp_path / "not" / "there"
    why = f"{nowhere}: cannot be made: No such file or directory (os error 2)"
    with pytest.raises(reknock.ConfigError) as refused:
        reknock.Client(policy=POLICY, budget_dir=nowhere, share_required=True)
    assert str(refused.value) == f"share_required: the budget cannot be the host's: {why}"
    with reknock.Client(policy=POLICY, budget_dir=nowhere) as client:
        client.get(script.url)
        reading = client.budget(script.url)
    assert reading and (reading.share, reading.path, reading.why) == ("process", None, why)


def test_what_cannot_be_shared_is_told_once(serve, tmp_path, caplog):
    script, nowhere, told = serve(status(200)), tmp_path / "not" / "there", []

    def note(event):
        if event.kind == "notice":
            told.append((event.reason, event.level, event.call.name, str(event)))

    with reknock.Client(policy=POLICY, budget_dir=nowhere, on_event=note) as client:
        for _ in range(2):
            client.get(script.url, name="a")
    budgets = reknock.Budgets(budget_dir=nowhere)
    function = reknock.retrying(policy=POLICY, budgets=budgets, on_event=note, name="b")(lambda: 1)
    assert function() + function() == 2
    assert [(reason, level, name) for reason, level, name, _ in told] == [("budget_unshared", "warning", name) for name in "ab"]
    why = f"is this process's alone (share: host): {nowhere}: cannot be made: No such file or directory (os error 2); share_required makes that an error"
    assert all(text.endswith(why) for *_, text in told)
    logged = [record for record in caplog.records if getattr(record, "reknock_reason", None) == "budget_unshared"]
    assert [record.levelname for record in logged] == ["WARNING", "WARNING"]


def test_budgets_without_a_client_are_shared_likewise(tmp_path):
    policy, readings = reknock.Policy(**POLICY), []
    for _ in range(2):
        budgets = reknock.Budgets(budget_dir=tmp_path / "budgets")
        with reknock.Retry(policy, origin="http://up", budgets=budgets) as retry:
            retry.attempt()
            retry.classify(status_code=503)
            assert retry.decide().stop_reason is None
            retry.attempt()
            readings.append(budgets.reading(policy, "http://up"))
    assert [(reading.share, reading.balance, reading.own_withdrawals) for reading in readings if reading] == [("host", 59, 1), ("host", 58, 1)]
    nowhere = reknock.Budgets(budget_dir=tmp_path / "not" / "there", share_required=True)
    with pytest.raises(reknock.ConfigError, match="share_required: the budget cannot be the host's"):
        reknock.Retry(policy, origin="http://up", budgets=nowhere)
    for wrong, message in [({"budget_dir": "here"}, "budget_dir: must be an absolute path, got .here."), ({"budgetdir": "/x"}, "did you mean")]:
        with pytest.raises(reknock.ConfigError, match=message):
            reknock.Budgets(**wrong)


def test_a_forked_child_has_the_same_purse(serve, tmp_path):
    script = serve(status(503))
    client = reknock.Client(policy=POLICY, budget_dir=tmp_path / "budgets")
    client.get(script.url)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if client.get(script.url).status_code == 503 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    reading = client.budget(script.url)
    assert reading and (reading.balance, reading.own_withdrawals) == (54, 3)
