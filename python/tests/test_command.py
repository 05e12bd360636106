"""`python -m reknock`."""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import status


def reknock(*arguments):
    return subprocess.run([sys.executable, "-m", "reknock", *arguments], capture_output=True, text=True, timeout=20)


def test_the_timeline(serve):
    ran = reknock("get", serve(status(503), status(200, "done")).url)
    assert (ran.returncode, ran.stdout) == (0, "done")
    assert ran.stderr.startswith("200 OK\n") and "#1 503" in ran.stderr and "= completed" in ran.stderr


def test_a_request_with_everything(serve, tmp_path):
    (tmp_path / "policy.yaml").write_text("methods: any\nbackoff: 1ms\n")
    (tmp_path / "body").write_text("of the file")
    script = serve(status(503), {"do": "echo"})
    ran = reknock("get", script.url, "-X", "PATCH", "-H", "x-a: 1", "-d", f"@{tmp_path}/body", "--policy", str(tmp_path / "policy.yaml"), "--json")
    told = json.loads(ran.stdout)
    echo = json.loads(told["body"])
    assert (told["status"], told["stop_reason"], [attempt["status"] for attempt in told["attempts"]]) == (200, "completed", [503, 200])
    assert (echo["method"], echo["body"], dict(echo["headers"])["x-a"]) == ("PATCH", "of the file", "1")


def test_what_goes_wrong(serve, tmp_path):
    assert reknock("get", serve(status(404)).url).returncode == 1
    ran = reknock("get", serve({"do": "reset"}).url, "-d", "once")
    assert ran.returncode == 2 and ran.stderr.startswith("reset: ") and "not_idempotent" in ran.stderr
    (tmp_path / "policy.json").write_text('{"max_retrys": 1}')
    ran = reknock("get", "http://127.0.0.1:1/", "--policy", str(tmp_path / "policy.json"))
    assert ran.returncode == 2 and "did you mean max_retries?" in ran.stderr and "Traceback" not in ran.stderr
