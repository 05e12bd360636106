"""The shared vectors of decisions, waits, hints and budgets, through whole calls on a script."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import reknock
from reknock.testing import Script, Step

from .test_vectors import named, vectors

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "http://a/"

# Outcomes that no transport gives, and calls that are given up while an attempt is on its way: an answer of a script takes no time.
# test_retry.py has them.
NOT_THROUGH_CALLS = {
    "kinds that nothing covers",
    "kinds that end the call",
    "an abandoned send is not",
    "concurrency: an abandoned call frees its place",
    # Scripts have no failures of this machine.
    "a failure of this machine alone asks no budget",
    "a failure of this machine alone counts as a retry",
    "a failure of this machine alone goes by the conditions",
    "a failure of this machine alone after something was sent",
}
# The steps of two calls interleave, or a call is given up while it waits.
INTERLEAVED = {
    "an abandoned wait is refunded",
    "a refund after the window is none",
    "concurrency: a retry holds its place until its attempt is decided",
    "concurrency: the failing send counts as active, those in back-off do not",
}


def outcome(step, after):
    given = step["outcome"]
    if "status" in given:
        return Step(given["status"], headers=[tuple(line) for line in given.get("headers", [])], after=after)
    return Step(given["failure"], evidence=given["evidence"], after=after)


class Played:
    """The calls of a case, one after the other, as the vector has them in virtual time."""

    def __init__(self, case, send):
        self.case, self.send, self.clock = case, send, 0.0
        self.order = list(dict.fromkeys(step.get("call", "a") for step in case["steps"]))

    def steps(self, name):
        return [step for step in self.case["steps"] if step.get("call", "a") == name]

    def script(self):
        made = []
        for name in self.order:
            before = None
            for step in self.steps(name):
                if "outcome" in step:
                    begun = step.get("begin", step["at"]) if before is None else before["at"] + before["then"]
                    made.append(outcome(step, (step["at"] - begun) / 1000))
                    before = step
            if isinstance(before["then"], int):
                made.append(Step(200))
        return Script(made, now=NOW)

    def options(self, steps):
        first, options = steps[0], {}
        answers = {number: step["answer"] for number, step in enumerate(steps, 1) if "answer" in step}
        if first.get("asked") or any("retry" in answer or "wait" in answer for answer in answers.values()):
            options["retry_if"] = lambda attempt: self.opinion(answers.get(attempt.number, {}))
        if any("backoff" in answer for answer in answers.values()):
            options["delay"] = lambda attempt: seconds(answers.get(attempt.number, {}).get("backoff"))
        if first.get("key"):
            options["headers"] = {"Idempotency-Key": "1"}
        if first.get("replayable") is False:
            options["content"] = iter([bytes(2 << 20)])
        return first.get("method", "GET"), first.get("origin", "http://a") + "/", options

    @staticmethod
    def opinion(answer):
        if "wait" in answer:
            return seconds(answer["wait"])
        return reknock.STOP if answer.get("retry") is False else answer.get("retry")

    def check(self, result, steps, balance):
        outcomes = [step for step in steps if "outcome" in step]
        waits = [attempt.wait for attempt in result.attempts]
        # What the vector leaves open is a call that goes on: it ends with a 200.
        assert len(waits) - len(outcomes) == isinstance(outcomes[-1]["then"], int)
        assert waits[: len(outcomes)] == [seconds(step["then"]) if isinstance(step["then"], int) else None for step in outcomes]
        assert isinstance(outcomes[-1]["then"], int) or result.stop_reason == outcomes[-1]["then"]
        last = steps[-1]
        if "balance" in last and self.case["policy"].get("max_retries") != 0:
            assert balance == last["balance"]


def seconds(ms):
    return None if ms is None else ms / 1000


async def play(case, client, script, request):
    played = Played(case, request)
    for name in played.order:
        steps = played.steps(name)
        method, url, options = played.options(steps)
        first = steps[0].get("begin", steps[0]["at"]) / 1000
        now = script.sends and max(sent.at for sent in script.sends) or 0.0
        script.advance(max(first - now, 0))
        try:
            result = await request(method, url, **options)
        except reknock.HTTPError as error:
            result = error
        reading = client.budget(url)
        played.check(result, steps, reading and reading.balance)
    assert script.remaining == 0


def plays(case):
    """Whether calls play it one after the other; a client finds redirects itself."""
    return case["name"] not in NOT_THROUGH_CALLS | INTERLEAVED and not any("redirect" in step for step in case["steps"])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("case", named([case for case in vectors("decide")["cases"] if plays(case)], 85))
def test_decide(case, asynchronous):
    script = Played(case, None).script()

    async def main():
        options = {"policy": case["policy"], "transport": script, "follow_redirects": False}
        if asynchronous:
            async with reknock.AsyncClient(**options) as client:
                await play(case, client, script, client.request)
            return

        with reknock.Client(**options) as client:

            async def request(method, url, **options):
                return client.request(method, url, **options)

            await play(case, client, script, request)

    asyncio.run(main())


class GivenUp(Exception):
    """What a call is given up with."""


class Interleaved:
    """What happens between two attempts of a call happens in its `before_retry`."""

    def __init__(self, case, client, script):
        self.steps, self.client, self.script = list(case["steps"]), client, script

    def next_is(self, name):
        return bool(self.steps) and self.steps[0].get("call", "a") == name

    def taken(self, then):
        step = self.steps.pop(0)
        assert then is None or step["then"] == then
        assert "balance" not in step or self.client.budget(URL).balance == step["balance"]

    def call(self):
        name = self.steps[0].get("call", "a")

        def before_retry(attempt, request):
            decided = self.steps[0]["at"]
            self.taken(round(attempt.planned_wait * 1000))
            while self.steps and not self.next_is(name):
                self.call()
            if self.next_is(name) and "end" in self.steps[0]:
                self.script.advance((self.steps[0]["at"] - decided) / 1000)
                raise GivenUp

        try:
            ended = self.client.get(URL, before_retry=before_retry)
        except GivenUp:
            self.taken(None)
        else:
            # A vector may leave open how a call goes on.
            if self.next_is(name):
                self.taken(ended.stop_reason)


@pytest.mark.parametrize("case", named([case for case in vectors("decide")["cases"] if case["name"] in INTERLEAVED], 4))
def test_interleaved(case):
    outcomes = [step["outcome"]["status"] for step in case["steps"] if "outcome" in step]
    script = Script([*outcomes, 200])
    with reknock.Client(policy=case["policy"], transport=script) as client:
        played = Interleaved(case, client, script)
        played.call()
        assert not played.steps


HINTS = vectors("retry_after")["cases"]


@pytest.mark.parametrize("case", HINTS, ids=lambda case: str(case["headers"]))
def test_hints(call, case):
    assert len(HINTS) == 40
    policy = {"statuses": [503], "max_retries": 0, "retry_after": {"spread": 0, "max": "none", **case.get("config", {})}}
    script = Script([Step(503, headers=case["headers"])], now=NOW)
    hint = call("GET", URL, {"policy": policy, "transport": script}).attempts[0].hint
    if isinstance(case["hint_ms"], str):
        assert hint > 1 << 33
    else:
        assert hint == seconds(case["hint_ms"])


BACKOFF = vectors("backoff")


def check_waits(case, waits):
    """`waits(policy, seed)`: those of a call. With jitter each comes of its own draw alone, and has a call of its own."""
    first = case.get("from_retry", 1)
    last = min(first + len(case["waits"]) - 1, 1000)
    policy = {"backoff": case["backoff"], "max_retries": last, "timeout": "none", "budget": "none"}
    if case["backoff"].get("jitter", "none") != "none":
        seeds = BACKOFF["seeds"][str(case["u"])]
        got = [waits(policy, int(seed))[n] for n, seed in enumerate(seeds[:last])]
    else:
        got = waits(policy, int(case.get("seed", 0)))[first - 1 :]
    wanted = case["waits"][: last + 1 - first]
    assert got
    for wait, milliseconds in zip(got, wanted, strict=True):
        assert abs(wait * 1000 - milliseconds) <= max(0.5, milliseconds * 1e-6)


@pytest.mark.parametrize("case", named(BACKOFF["cases"], 23))
def test_backoff(call, case):
    def waits(policy, seed):
        script = Script([503], seed=seed)
        call("GET", URL, {"policy": policy, "transport": script})
        return script.waits

    check_waits(case, waits)


def purse(parameters, script, deposit_on):
    """A client whose only rule of interest is a budget."""
    limits = {key: parameters[key] for key in ("ratio", "min_per_second")}
    budget = {"kind": "ratio", **limits, "ttl": f"{parameters['ttl_s']}s", "deposit_on": deposit_on}
    return reknock.Client(policy={"budget": budget, "timeout": "none"}, transport=script, delay=lambda attempt: 0)


@pytest.mark.parametrize("case", named(vectors("budget")["cases"], 13))
def test_budgets(case):
    """What succeeds deposits; a call that fails deposits nothing, and takes what it is granted."""
    answers, clock = [], 0.0
    for step in case["steps"]:
        answers += [200] * step.get("deposit", 0) + [503] * (step["granted"] + 1 if "withdraw" in step else 0)
    script = Script(answers)
    with purse(case, script, "success") as client:
        for step in case["steps"]:
            script.advance(step["t"] - clock)
            clock = step["t"]
            for _ in range(step.get("deposit", 0)):
                client.get(URL)
            if "withdraw" in step:
                response = client.get(URL, policy={"max_retries": step["withdraw"]})
                assert len(response.attempts) - 1 == step["granted"]
            if "balance" in step and client.budget(URL) is not None:
                assert client.budget(URL).balance == step["balance"]
    assert script.remaining == 0


RATIOS = vectors("budget")["ratio_list"]["ratios"]


@pytest.mark.parametrize("ratio", RATIOS)
def test_budget_ratios_are_exact(ratio):
    assert len(RATIOS) == 16
    calls = 1000
    with purse({**vectors("budget")["ratio_list"], "ratio": ratio}, Script([503]), "call") as client:
        granted = sum(len(client.get(URL, policy={"max_retries": 1}).attempts) - 1 for _ in range(calls))
    assert granted == round(ratio * 1e6) * calls // 10**6


def invalid():
    """What is no back-off and no budget. test_retry.py has concurrency budgets: they are for calls at the same time."""
    backoffs, budgets = BACKOFF["invalid"], vectors("budget")["invalid"]
    assert (len(backoffs), len(budgets)) == (10, 6)
    for given in budgets:
        ttl = given.pop("ttl_s", None)
        given.update({"ttl": f"{ttl}s"} if ttl else {})
        given.update({"ratio": float(given["ratio"])} if "ratio" in given else {})
    return [("backoff", given) for given in backoffs] + [("budget", given) for given in budgets]


@pytest.mark.parametrize(("key", "given"), invalid(), ids=str)
def test_invalid(key, given):
    with pytest.raises(reknock.ConfigError, match=f"^{key}"):
        reknock.Policy(**{key: given})


def test_envoy_headers_when_asked_for(call):
    for asked, sends in ((True, 3), (False, 1)):
        script = Script([Step(409)])
        client = {"policy": {"max_retries": 0, "methods": "any", "budget": "none"}, "transport": script, "envoy_headers": asked}
        call("POST", URL, client, headers={"x-envoy-retry-on": "retriable-4xx", "x-envoy-max-retries": "2"})
        assert len(script.sends) == sends and ("x-envoy-retry-on" in script.sends[0].headers) is not asked
