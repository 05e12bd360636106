"""The decision machine alone: the shared vectors step by step, those too that no whole call can play, and what is Python's own about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from http import HTTPStatus

import pytest
import reknock

from .conftest import ROOT, status
from .test_machine_vectors import check_waits, seconds
from .test_vectors import named, vectors

WALL = 1_795_348_800.0  # 2026-11-22T12:00:00Z
ORIGIN = "http://a"


class Stage:
    """Steps of several calls that share budgets."""

    def __init__(self, policy):
        self.policy, self.budgets, self.calls = reknock.Policy.from_dict(policy), reknock.Budgets(), {}

    def take(self, step):
        name, now = step.get("call", "a"), seconds(step["at"])
        if name not in self.calls:
            self.calls[name] = self.begin(step)
        retry, origin, replayable = self.calls[name]
        if "redirect" in step:
            hop = step["redirect"]
            origin = hop.get("origin", ORIGIN)
            retry.redirect(method=hop.get("method", "GET"), origin=origin, has_idempotency_key=hop.get("key", False), now=now)
            self.calls[name] = retry, origin, replayable
        elif "end" in step:
            if step.get("sent"):
                retry.attempt(now=now)
            del self.calls[name]
            if step["end"] == "finish":
                retry.finish(now=now)
            else:
                retry.abandon()
        else:
            self.attempt(step, retry, replayable, now)
        # A budget that was found but not used is as good as none.
        if "balance" in step and self.policy.max_retries > 0:
            reading = self.budgets.reading(self.policy, origin, now=now)
            assert (reading and reading.balance) == step["balance"]

    def begin(self, step):
        origin = step.get("origin", ORIGIN)
        about = {"method": step.get("method", "GET"), "has_idempotency_key": step.get("key", False), "asked": step.get("asked", False)}
        now = seconds(step.get("begin", step["at"]))
        return reknock.Retry(self.policy, origin=origin, budgets=self.budgets, now=now, **about), origin, step.get("replayable", True)

    @staticmethod
    def attempt(step, retry, replayable, now):
        outcome, answer = step["outcome"], step.get("answer", {})
        retry.attempt(now=now)
        if "status" in outcome:
            headers = [tuple(line) for line in outcome.get("headers", [])]
            retry.classify(status_code=outcome["status"], headers=headers, wall=WALL)
        else:
            retry.classify(error=outcome["failure"], evidence=outcome["evidence"], local=outcome.get("local", False))
        said = {"retry": answer.get("retry"), "wait": seconds(answer.get("wait")), "backoff": seconds(answer.get("backoff"))}
        decision = retry.decide(**said, replayable=replayable, now=now)
        if isinstance(step["then"], str):
            assert (decision.wait, decision.stop_reason) == (None, step["then"])
        else:
            assert (decision.wait, decision.stop_reason) == (seconds(step["then"]), None)


@pytest.mark.parametrize("case", named(vectors("decide")["cases"], 106))
def test_decide(case):
    stage = Stage(case["policy"])
    for step in case["steps"]:
        stage.take(step)


CONCURRENCY = vectors("budget")["concurrency"]["cases"]


@pytest.mark.parametrize("case", CONCURRENCY, ids=str)
def test_concurrency_budgets(case):
    """The send that fails is in flight itself: there is never none."""
    assert len(CONCURRENCY) == 11
    percent, least, active, held, granted = case
    policy = reknock.Policy(budget={"kind": "concurrency", "percent": percent, "min": least}, backoff="1s")
    budgets = reknock.Budgets()
    calls = [reknock.Retry(policy, origin=ORIGIN, budgets=budgets, now=0) for _ in range(held + max(active, 1))]
    for call in calls:
        call.attempt(now=0)
        call.classify(status_code=503)
    assert [call.decide(now=0).stop_reason for call in calls[:held]] == [None] * held
    assert calls[held].decide(now=0).stop_reason == (None if granted else "budget_exhausted")


@pytest.mark.parametrize("case", named(vectors("backoff")["cases"], 23))
def test_drawn_waits(case):
    def waits(policy, seed):
        retry = reknock.Retry(policy, seed=seed, now=0)
        return [waited(retry, number) for number in range(1, policy["max_retries"] + 1)]

    check_waits(case, waits)


def waited(retry, number):
    """The wait after the attempt of this number."""
    assert retry.attempt(now=0) == number
    retry.classify(status_code=503)
    return retry.decide(now=0).wait


def test_seeds():
    def drawn(seed):
        retry = reknock.Retry(seed=seed)
        retry.attempt()
        return retry.classify(status_code=503).backoff

    assert drawn(7) == drawn(7) != drawn(2**64 - 1)
    assert drawn(0) != drawn(0)
    for seed in (-1, 2**64):
        with pytest.raises(OverflowError):
            drawn(seed)


def test_verdicts():
    retry = reknock.Retry({"retry_after": {"spread": 0}, "backoff": "1s"}, method="POST")
    retry.attempt()
    verdict = retry.classify(status_code=429, headers={"Retry-After": "2"})
    assert (verdict.retry, verdict.evidence, verdict.hint, verdict.backoff, verdict.planned_wait) == (True, "refused", 2, 1, 2)
    verdict = retry.classify(error="reset")
    assert (verdict.evidence, verdict.hint, verdict.planned_wait) == ("unknown", None, 1)
    assert retry.decide().stop_reason == "not_idempotent"


def test_header_fields_by_a_function():
    """It is called where they say something, and may use the call meanwhile."""
    asked = []

    def fields():
        asked.append(retry.retries_left)
        return {"Retry-After": "2"}

    for policy, status, hint in (({}, 200, None), ({}, 404, None), ({}, 503, 2), ({"statuses": [404]}, 404, 2), ({"stop_headers": ["x-stop"]}, 200, None)):
        retry = reknock.Retry(policy)
        retry.attempt()
        assert (retry.classify(status_code=status, headers=fields).hint, asked) == (hint, [2] if hint or policy else []), (policy, status)
        asked.clear()
    retry = reknock.Retry()
    retry.attempt()
    with pytest.raises(ZeroDivisionError):
        retry.classify(status_code=503, headers=lambda: [("a", str(1 // 0))])
    assert retry.classify(status_code=503).retry


def test_durations_and_clocks():
    """Numbers are seconds; what is not given is read from the clocks of `time`."""
    retry = reknock.Retry({"timeout": "60s", "max_retries": 3}, now=time.monotonic() - 59)
    for wait in (0.25, timedelta(milliseconds=250)):
        retry.attempt()
        retry.classify(status_code=503)
        assert retry.decide(retry=True, wait=wait).wait == 0.25
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    retry.attempt()
    assert 25 < (retry.classify(status_code=503, headers={"retry-after": date}).hint or 0) <= 30
    assert retry.decide(wait=5).stop_reason == "deadline"


REFUSED = {"order": RuntimeError, "value": reknock.ConfigError, "budget": reknock.ConfigError}


class Driven:
    """A call whose steps may be refused."""

    def __init__(self):
        self.retry, self.budgets = reknock.Retry({"backoff": "1ms"}, now=0), reknock.Budgets()

    def take(self, step):
        """What was decided, if something was."""
        if step["do"] == "begin":
            budgets = self.budgets if step.get("budgets") else None
            self.retry = reknock.Retry(step["policy"], budgets=budgets, origin=step["origin"], now=0)
        elif step["do"] == "classify":
            said = {key: step[key] for key in ("error", "evidence") if key in step}
            self.retry.classify(status_code=step.get("status"), **said)
        elif step["do"] == "redirect":
            self.retry.redirect(method="GET", origin=step.get("origin", ""), now=0)
        elif step["do"] == "decide":
            decision = self.retry.decide(now=0)
            return decision.stop_reason if decision.wait is None else decision.wait * 1000
        elif step["do"] == "abandon":
            self.retry.abandon()
        else:
            getattr(self.retry, step["do"])(now=0)
        return None


MISUSE = vectors("misuse")["cases"]


@pytest.mark.parametrize("case", named(MISUSE, 16))
def test_misuse(case):
    driven = Driven()
    for step in case["steps"]:
        if "wrong" not in step:
            assert driven.take(step) == step.get("then"), step
            continue
        got = json.dumps(step["evidence"] if step.get("evidence") == "none" else step.get("error"))
        with pytest.raises(REFUSED[step["wrong"]]) as raised:
            driven.take(step)
        assert (type(raised.value), str(raised.value)) == (REFUSED[step["wrong"]], step["message"].replace("{got}", got)), step


def test_no_misuse_is_lost():
    assert sum("wrong" in step for case in MISUSE for step in case["steps"]) == 32


def test_arguments_that_are_none():
    retry = reknock.Retry()
    retry.attempt()
    retry.classify(status_code=503)
    for wrong, message in (({"wait": -1}, "wait: must be a number of seconds from 0, got -1"), ({"backoff": "1s"}, 'backoff: must be a number of seconds from 0, got "1s"')):
        with pytest.raises(reknock.ConfigError, match=f"^{message}$"):
            retry.decide(**wrong)
    nan = float("nan")
    for step in (retry.attempt, retry.decide, retry.finish, lambda now: retry.redirect(method="GET", now=now), lambda now: reknock.Retry(now=now)):
        with pytest.raises(reknock.ConfigError, match="^now: must be a number of seconds, got NaN$"):
            step(now=nan)
    with pytest.raises(reknock.ConfigError, match="^now: must be a number of seconds, got NaN$"):
        reknock.Budgets().reading(reknock.Policy(), ORIGIN, now=nan)
    with pytest.raises(reknock.ConfigError, match="^wall: must be a number of seconds, got NaN$"):
        retry.classify(status_code=503, wall=nan)
    with pytest.raises(reknock.ConfigError, match=r"^status: must be a whole number from 100 to 999, got 503\.5$"):
        retry.classify(status_code=503.5)
    with pytest.raises(reknock.ConfigError, match="max_retries"):
        reknock.Retry({"max_attempts": 3})
    assert retry.classify(status_code=HTTPStatus.SERVICE_UNAVAILABLE).retry
    assert retry.decide(wait=0.5).wait == 0.5


def test_leaving_the_block():
    """A call that went well deposits; one that is left by an exception does not. What it had in store goes back."""
    policy = reknock.Policy(budget={"ratio": 1, "min_per_second": 1, "deposit_on": "success"})
    budgets = reknock.Budgets()
    assert budgets.reading(policy, ORIGIN) is None

    def left(code, error=None):
        with reknock.Retry(policy, origin=ORIGIN, budgets=budgets) as retry:
            retry.attempt()
            retry.classify(status_code=code)
            retry.decide()
            if error:
                raise error

    for code in (200, 503):
        with pytest.raises(KeyError):
            left(code, KeyError())
        assert balance_of(budgets, policy) == 10
    left(503)
    assert balance_of(budgets, policy) == 10
    left(200)
    assert balance_of(budgets, policy) == 11


def balance_of(budgets, policy):
    return budgets.reading(policy, ORIGIN).balance


def test_budgets_are_shared_by_threads():
    """However they interleave, no retry is granted twice."""
    policy = reknock.Policy(budget={"ratio": 0, "min_per_second": 10, "ttl": "10s"}, backoff="0ms", max_retries=1000)
    budgets, granted, ready = reknock.Budgets(), [], threading.Barrier(4)

    def work():
        ready.wait()
        for _ in range(50):
            retry = reknock.Retry(policy, origin=ORIGIN, budgets=budgets, now=0)
            retry.attempt(now=0)
            retry.classify(status_code=503)
            if retry.decide(now=0).stop_reason is None:
                granted.append(True)
                retry.attempt(now=0)
            retry.finish(now=0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading = budgets.reading(policy, ORIGIN, now=0)
    assert (len(granted), reading.balance, reading.withdrawals, reading.refusals) == (100, 0, 100, 100)


def test_the_example(serve):
    """A 503, a reset and a 200, through urllib; then what urllib raises."""
    script = serve(status(503), {"do": "reset"}, {**status(200), "body": "done"}, status(404))

    def run():
        command = [sys.executable, str(ROOT / "python/examples/urllib_retry.py"), script.url]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "no_proxy": "*"})

    played = run()
    assert played.returncode == 0, played.stderr
    assert [line.split()[-1] for line in played.stdout.splitlines()] == ["retried", "retried", "completed", "done"]
    played = run()
    assert played.stdout == "#1 HTTP Error 404: Not Found not_retryable\n" and "HTTPError" in played.stderr
    assert len(script.log()) == 4


DRIVER = vectors("driver")["cases"]


@pytest.mark.parametrize("case", named(DRIVER, 22))
def test_driver(case):
    call = {**case.get("call", {})}
    call["headers"] = [tuple(line) for line in call.pop("headers", [])]
    retry = reknock.Retry(case["policy"], origin=call.pop("origin", "http://a.test"), now=0, **call)
    for step in case["steps"]:
        now = seconds(step["at"])
        match step["do"]:
            case "attempt":
                retry.attempt(now=now)
            case "classify":
                names = {"status": "status_code", "class": "error_class"}
                said = {names.get(key, key): value for key, value in step.items() if key not in ("at", "do", "headers")}
                said["headers"] = [tuple(line) for line in step.get("headers", [])]
                retry.classify(**said, now=now, wall=WALL)
            case "asks":
                assert retry.is_worth_asking(replayable=step.get("replayable", True), now=now) is step["is"]
            case "decide":
                opinion = step.get("opinion")
                opinion = opinion / 1000 if type(opinion) is int else opinion
                decision = retry.decide(opinion=opinion, replayable=step.get("replayable", True), now=now)
                wanted = (None, step["then"]) if isinstance(step["then"], str) else (seconds(step["then"]), None)
                assert (decision.wait, decision.stop_reason) == wanted
            case "limits":
                limits = retry.limits(now=now)
                assert [limits.connect_timeout, limits.per_try_timeout, limits.idle_timeout, limits.remaining] == [seconds(ms) for ms in step["is"]]
                assert retry.remaining(now=now) == limits.remaining
                assert (retry.deadline is None) == (limits.remaining is None)
            case "fields":
                assert [[name, "*" if len(value) == 36 else value] for name, value in retry.headers] == step["is"]
            case "left":
                assert retry.retries_left == step["is"]
            case "kept":
                assert retry.max_body_buffer == step["is"]
            case "finish":
                retry.finish(now=now)
            case "abandon":
                retry.abandon()
            case "told":
                assert (retry.stop_reason, retry.explain()) == (step["stop_reason"], step["explain"])
                assert [record.number for record in retry.attempts] == list(range(1, len(retry.attempts) + 1))


def test_what_is_no_outcome():
    retry = reknock.Retry()
    retry.attempt()
    for outcome in ({"status_code": 200, "error": "reset"}, {"returned": True, "error_class": "E"}, {"status_code": 200, "returned": True}):
        with pytest.raises(reknock.ConfigError, match="must be a status or an error, got both"):
            retry.classify(**outcome)
    retry.classify(error_class="E")
    for opinion in ("stop it", object()):
        with pytest.raises(reknock.CallbackError, match="^retry_if: must return"):
            retry.decide(opinion=opinion)


def test_one_purse_for_clients_and_drivers():
    """By default both count by the clock of the host."""
    policy = reknock.Policy(budget={"ratio": 0, "min_per_second": 1, "ttl": "2s"}, backoff="1ms", connect_timeout="1s")
    budgets = reknock.Budgets()
    before = time.monotonic()
    with reknock.Client(policy=policy, budgets=budgets, proxy=False) as client:
        with pytest.raises(reknock.ConnectError) as caught:
            client.get("http://127.0.0.1:1/")
        assert len(caught.value.attempts) == 3
    assert budgets.reading(policy, "http://127.0.0.1:1").withdrawals == 2
    assert budgets.reading(policy, "HTTP://127.0.0.1:1/path", now=before).balance == 0
    retry = reknock.Retry(policy, origin="http://127.0.0.1:1", budgets=budgets)
    retry.attempt()
    retry.classify(status_code=503)
    assert retry.decide().stop_reason == "budget_exhausted"
