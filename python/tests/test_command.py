"""`reknock` and `python -m reknock`."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reknock import ConfigError, Policy
from reknock._native import command_help

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
    ran = reknock("get", "http://127.0.0.1:1/", "-d", f"@{tmp_path}/nowhere")
    assert ran.returncode == 2 and "nowhere" in ran.stderr and "Traceback" not in ran.stderr
    for arguments in [("get",), (), ("get", "x", "--nonsense")]:
        ran = reknock(*arguments)
        assert (ran.returncode, ran.stdout) == (2, "") and ran.stderr.startswith(command_help("python -m reknock") + "python -m reknock")


def test_help_is_the_core_s():
    for arguments in [("--help",), ("get", "--help"), ("explain", "-h")]:
        ran = reknock(*arguments)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, command_help("python -m reknock"), "")


def test_the_installed_program():
    program = [Path(sysconfig.get_path("scripts")) / "reknock"]
    ran = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, command_help("reknock"), "")
    ran = subprocess.run([*program, "get"], capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stdout) == (2, "") and "reknock get: error: the following arguments are required: url" in ran.stderr


def test_a_body_that_is_no_text(serve):
    script = serve({"do": "status", "status": 200, "body_base64": "AP8="})
    ran = subprocess.run([sys.executable, "-m", "reknock", "get", script.url], capture_output=True, timeout=20)
    assert ran.stdout == b"\x00\xff"


LINKERD = """
routers:
- protocol: http
  label: out
  service: {retries: {budget: {percentCanRetry: 0.5}, backoff: {kind: constant, ms: 10}}}
- protocol: http
  label: in
  service: {totalTimeoutMs: 600}
"""


def test_policies_by_name():
    assert [one.policy.timeout for one in Policy.read_all(LINKERD, name="in")] == ["600ms"]
    with pytest.raises(ConfigError, match=r'^policy: must be one of out, in, got "oud"; did you mean "out"\?$'):
        Policy.read_all(LINKERD, "linkerd", "oud")
    with pytest.raises(ConfigError, match=r'^policy: must be asked for without a name, got "x"; none here has one$'):
        Policy.read_all({"max_retries": 1}, name="x")


def test_explain(tmp_path):
    path = tmp_path / "linkerd.yaml"
    path.write_text(LINKERD)
    out, into = (policy.explain() for policy in Policy.load_all(path))
    assert "budget: " in out and "notes:" in out and out.startswith("# linkerd out\n")
    ran = reknock("explain", str(path))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{out}\n{into}", "")
    assert reknock("explain", str(path), "--policy", "in", "--dialect", "linkerd").stdout == into
    ran = reknock("explain", str(path), "--policy", "by")
    assert (ran.returncode, ran.stderr) == (2, 'config: policy: must be one of out, in, got "by"\n')
    ran = reknock("explain", str(path), "--dialect", "ktor")
    assert ran.returncode == 2 and ran.stderr.startswith("config: ") and "ktor: no policy found" in ran.stderr
    (tmp_path / "policy.yaml").write_text("max_retries: 5")
    assert reknock("explain", str(tmp_path / "policy.yaml")).stdout == Policy(max_retries=5).explain()
    assert "Traceback" not in reknock("explain", str(tmp_path / "nowhere.yaml")).stderr


def test_words_that_are_no_text(serve):
    ran = reknock("lint", b"\xff.yaml")
    assert (ran.returncode, ran.stdout) == (2, "") and ran.stderr.startswith("config: \ufffd.yaml: ")
    script = serve({"do": "echo"})
    assert reknock("get", script.url, "-d", b"\xff").returncode == 0
    assert script.log()[0]["body_size"] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_stdout_that_takes_nothing(serve):
    """A message and a status, whatever the command, and no trace of ours."""
    url = serve({"do": "status", "status": 200, "body": "x" * 100_000}).url
    for line in ["lint default", "explain default", "simulate default --scenario batch --seeds 1", "policy convert default", "--help", "--version", "lint -h", f"get {url}", f"get {url} --json"]:
        command = f"{sys.executable} -m reknock {line}"
        for to, status, said in [(">/dev/full", 2, "stdout: No space left on device\n"), (">&-", 2, "stdout: Bad file descriptor\n"), ("| true", 141, "")]:
            ran = subprocess.run(["bash", "-c", f"set -o pipefail; {command} {to}"], capture_output=True, text=True, timeout=20)
            # Nobody who has no stdout is shown the help there.
            if to == ">&-" and line.startswith("--"):
                assert ran.returncode == 0 and "Traceback" not in ran.stderr
                continue
            # A pipe takes what little there is before its reader is gone.
            assert ran.returncode in (status, 0 if to == "| true" else status), (command, to, ran.stderr)
            assert ran.stderr.endswith(said) and "Traceback" not in ran.stderr and "Exception ignored" not in ran.stderr, ran.stderr
        assert subprocess.run(["bash", "-c", f"{command} >/dev/null 2>/dev/full"], timeout=20).returncode in (0, 1)
        assert subprocess.run(["bash", "-c", f"{command} >/dev/null 2>&-"], timeout=20).returncode in (0, 1)
