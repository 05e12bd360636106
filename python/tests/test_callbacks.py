"""Callbacks: where they run, what they see, what their answers do."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import traceback

import pytest
import reknock

from .conftest import FAST, ROOT, status

NO, DONE = status(503), status(200, "done")


@pytest.mark.parametrize(
    ("answer", "requests", "reason"),
    [(True, 3, "retries_exhausted"), (False, 3, "retries_exhausted"), (reknock.STOP, 1, "predicate_stop"), ("stop", 1, "predicate_stop"), (None, 3, "retries_exhausted"), (0, 3, "retries_exhausted"), (0.02, 3, "retries_exhausted")],
)
def test_retry_if(serve, call, answer, requests, reason):
    script = serve(NO)
    response = call("GET", script.url, retry_if=lambda attempt: answer)
    assert (len(script.log()), response.stop_reason) == (requests, reason)


@pytest.mark.parametrize("name", ["retry_if", "delay", "before_retry", "on_event"])
def test_what_is_no_function_is_said_before_anything_is_sent(serve, call, name):
    script = serve(NO)
    for make in reknock.Client, reknock.AsyncClient:
        with pytest.raises(TypeError, match=f"^{name}: must be a function, got int$"):
            make(**{name: 1})
    with pytest.raises(TypeError, match=f"^{name}: must be a function, got str$"):
        call("POST", script.url, **{name: "x"})
    assert script.log() == [] and call("GET", script.url, **{name: None}).status_code == 503


def test_what_callbacks_see(serve, call):
    seen = []
    script = serve(status(503, "slow down", headers=[["retry-after", "0.01"]]), {"do": "reset"}, DONE)
    call("GET", script.url + "/x", retry_if=lambda attempt: seen.append(attempt), with_body=True, headers={"x-a": "1"})
    first, second = seen[:2]
    assert (first.number, first.retries_left, first.request.method, first.request.url) == (1, 2, "GET", script.url + "/x")
    assert (first.status_code, first.headers["retry-after"], first.content, first.error) == (503, "0.01", b"slow down", None)
    assert first.request.headers["x-a"] == "1" and first.verdict and first.evidence == "unknown"
    assert first.hint == pytest.approx(0.01) and first.planned_wait >= 0.01
    assert (second.status_code, second.error, second.evidence) == (None, "reset", "unknown") and second.message
    assert "secret" not in repr(first)


def test_delay(serve, call):
    response = call("GET", serve(NO, DONE).url, delay=lambda attempt: 0.05)
    assert response.attempts[0].wait == pytest.approx(0.05)


def test_before_retry(serve, call):
    script = serve(NO, NO, {"do": "echo"})

    def edit(attempt, request):
        assert request.method == "POST" and request.headers["x-try"] == "0"
        request.headers["x-try"] = str(attempt.number)
        request.url = script.url + f"/try{attempt.number}"
        request.set_content(b"again")

    echo = call("POST", script.url, content=b"first", headers={"x-try": "0"}, before_retry=edit, policy={**FAST, "methods": "any"}).json()
    assert (echo["target"], echo["body"]) == ("/try2", "again") and dict(echo["headers"])["x-try"] == "2"


@pytest.mark.parametrize("name", ["retry_if", "delay", "before_retry"])
def test_a_callback_that_raises_ends_the_call_with_its_exception(serve, call, name):
    script = serve(NO)
    error = LookupError("mine")

    def callback(*_):
        raise error

    with pytest.raises(LookupError) as caught:
        call("GET", script.url, **{name: callback})
    assert caught.value is error and len(script.log()) == 1
    left = reknock.attempts_of(error)
    assert [attempt.status for attempt in left.attempts] == [503] and left.stop_reason == "callback"
    assert error.__notes__ == [left.explain().rstrip()] and "a callback raised" in left.explain()
    assert traceback.extract_tb(error.__traceback__)[-1].name == "callback"


@pytest.mark.parametrize(("name", "answer"), [("retry_if", "yes"), ("retry_if", -1), ("delay", True), ("delay", "1s")])
def test_answers_that_are_none(serve, call, name, answer):
    with pytest.raises(reknock.CallbackError, match=f"^{name}: must") as caught:
        call("GET", serve(NO).url, **{name: lambda attempt: answer})
    assert caught.value.kind == "callback" and caught.value.stop_reason == "callback"
    assert [attempt.status for attempt in caught.value.attempts] == [503] and "= callback" in caught.value.explain()


def test_a_callback_that_raises_is_told_to_observers(serve, call):
    events = []
    with pytest.raises(ZeroDivisionError):
        call("GET", serve(NO).url, retry_if=lambda attempt: 1 / 0, on_event=events.append)
    assert [(event.kind, event.stop_reason) for event in events] == [("attempt_start", None), ("attempt_end", None), ("end", "callback")]


def test_an_error_of_another_call_keeps_its_records(serve, call):
    script = serve(NO)

    def callback(_):
        reknock.get(script.url + "/inner", policy=FAST, retry_if=lambda attempt: "yes")

    with pytest.raises(reknock.CallbackError) as caught:
        call("GET", script.url + "/outer", policy={**FAST, "max_retries": 5}, retry_if=lambda attempt: None if attempt.number < 2 else callback(attempt))
    assert len(caught.value.attempts) == 1 and len(reknock.attempts_of(caught.value).attempts) == 2


def test_a_producer_that_raises_ends_the_call_with_its_records(serve, call):
    def pieces():
        yield b"a"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        call("POST", serve(DONE).url, content=pieces())
    left = reknock.attempts_of(caught.value)
    assert left.stop_reason == "callback" and len(left.attempts) == 1


def test_events(serve, call, caplog):
    caplog.set_level(logging.INFO, "reknock")
    events = []
    script = serve(NO, {"do": "redirect", "status": 302, "location": "$url/next?token=1"}, DONE)
    response = call("GET", script.url, on_event=events.append, name="orders.get")
    kinds = ["attempt_start", "attempt_end", "retry", "attempt_start", "attempt_end", "redirect", "attempt_start", "attempt_end", "end"]
    assert [event.kind for event in events] == kinds
    assert all(event.call == response.call and event.call.name == "orders.get" for event in events)
    retry, redirect, end = (next(event for event in events if event.kind == kind) for kind in ("retry", "redirect", "end"))
    assert retry.attempt.status == 503 and retry.reason == "503" and redirect.target.endswith("/next?token=...")
    assert end.stop_reason == "completed" and len(end.attempts) == 3 and not end.failed and end.elapsed > 0
    assert [record.name for record in caplog.records] == ["reknock"] and "retry 1 in 10ms, because of 503" in caplog.text


def test_events_and_records_have_what_the_reference_lists(serve, call):
    listed = json.loads((ROOT / "tests/vectors/told.json").read_text())
    events = []
    answered = serve({"do": "status", "status": 503, "interim": [103]}, {"do": "redirect", "status": 302, "location": "$url/next"}, DONE)
    response = call("GET", answered.url, on_event=events.append)
    call("GET", serve(NO).url, on_event=events.append, policy={"budget": {"ratio": 0, "min_per_second": 0}})
    assert {event.kind for event in events} == set(listed["events"])
    # What a record says too is there for short.
    short = {"number", "status"}
    for event in events:
        had = {name for name in dir(event) if not name.startswith("_") and getattr(event, name) is not None} - (set() if event.kind == "end" else {"failed"})
        names = {field["name"] for field in (*listed["every"], *listed["events"][event.kind])}
        assert had - short == names - short - {"text"} and str(event), event.kind
    for name, held in (("record", response.attempts[0]), ("call", response.call)):
        methods = {"of_request", "of_function"}
        assert {field for field in dir(held) if not field.startswith("_")} - methods == {field["name"] for field in listed[name]}


def test_an_observer_that_raises_fails_no_call(serve, call, monkeypatch):
    hooked = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: hooked.append(told.exc_value))

    def observer(event):
        raise LookupError(event.kind)

    assert call("GET", serve(DONE).url, on_event=observer).status_code == 200
    assert [str(error) for error in hooked] == ["attempt_start", "attempt_end", "end"]


@pytest.mark.parametrize("kind", ["retry", "end"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_observer_that_ends_the_program(serve, error, kind):
    def observer(event):
        if event.kind == kind:
            raise error

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            with pytest.raises(error):
                await client.get(serve(NO).url, on_event=observer)

    with reknock.Client(policy=FAST) as client, pytest.raises(error):
        client.get(serve(NO).url, on_event=observer)
    asyncio.run(main())


def test_client_callbacks_and_per_call_ones(serve, call):
    script = serve(NO)
    never = {"retry_if": lambda attempt: reknock.STOP}
    assert len(call("GET", script.url, never).attempts) == 1
    assert len(call("GET", script.url, never, retry_if=lambda attempt: True).attempts) == 3


def test_none_turns_the_clients_callbacks_off(serve, call):
    """Of a call; what is not given is the client's."""
    script, asked = serve(NO), []
    client = {
        "retry_if": lambda attempt: asked.append("retry_if"),
        "delay": lambda attempt: asked.append("delay"),
        "before_retry": lambda attempt, request: asked.append("before_retry"),
        "on_event": lambda event: asked.append("on_event"),
    }
    call("GET", script.url, client, **dict.fromkeys(client))
    assert not asked
    for name in client:
        call("GET", script.url, client, **{name: None})
        assert set(asked) == set(client) - {name}
        asked.clear()


def test_blocking_callbacks_run_on_the_calling_thread(serve):
    threads = set()
    with reknock.Client(policy=FAST, retry_if=lambda attempt: threads.add(threading.get_ident())) as client:
        client.get(serve(NO).url)
    assert threads == {threading.get_ident()}


def test_a_coroutine_function_is_no_callback_of_a_blocking_client(serve):
    async def retry_if(attempt):
        return True

    with reknock.Client(policy=FAST) as client, pytest.raises(reknock.CallbackError, match="got a value of type coroutine"), pytest.warns(RuntimeWarning):
        client.get(serve(NO).url, retry_if=retry_if)


variable = contextvars.ContextVar("variable", default=0)


def test_coroutine_functions_share_the_callers_context_and_task(serve):
    tasks = set()

    async def retry_if(attempt):
        await asyncio.sleep(0)
        variable.set(variable.get() + 1)
        tasks.add(asyncio.current_task())
        return None

    async def main():
        variable.set(10)
        async with reknock.AsyncClient(policy=FAST, retry_if=retry_if) as client:
            await client.get(serve(NO).url)
        return variable.get(), tasks == {asyncio.current_task()}

    # The last attempt has no retry left, so nothing is asked about it.
    assert asyncio.run(main()) == (12, True)


def test_async_delay_and_before_retry(serve):
    script = serve(NO, {"do": "echo"})

    async def delay(attempt):
        await asyncio.sleep(0)
        return 0.01

    async def before_retry(attempt, request):
        await asyncio.sleep(0)
        request.headers["x-token"] = "fresh"

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            return await client.get(script.url, delay=delay, before_retry=before_retry)

    assert dict(asyncio.run(main()).json()["headers"])["x-token"] == "fresh"


def test_an_async_callback_that_raises(serve):
    error = LookupError("mine")

    async def retry_if(attempt):
        await asyncio.sleep(0)
        raise error

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            await client.get(serve(NO).url, retry_if=retry_if)

    with pytest.raises(LookupError) as caught:
        asyncio.run(main())
    assert caught.value is error
    assert "retry_if" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_the_deadline_covers_async_callbacks(serve):
    ended = []

    async def retry_if(attempt):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            with pytest.raises(reknock.DeadlineExceeded) as caught:
                await client.get(serve(NO).url, retry_if=retry_if, timeout=0.1)
            assert asyncio.current_task().cancelling() == 0
            return caught.value

    error = asyncio.run(main())
    assert ended and error.stop_reason == "deadline" and len(error.attempts) == 1


def test_a_cancel_in_a_callback_is_a_cancel(serve):
    async def retry_if(attempt):
        await asyncio.Event().wait()

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await client.get(serve(NO).url, retry_if=retry_if)
            assert not isinstance(caught.value, reknock.HTTPError)

    asyncio.run(main())


def refusals(caplog):
    """What was logged of them, among the calls that failed by them."""
    return [(record.levelname, record.getMessage()) for record in caplog.records if getattr(record, "reknock_reason", None) == "budget_refused"]


def test_refusals_of_a_budget_are_warnings(serve, call, caplog):
    """One in a second and origin, though nobody asked for a log."""
    script, poor = serve(NO), {"budget": {"ratio": 0, "min_per_second": 0}}
    with reknock.Client(policy=poor) as client:
        responses = [client.get(script.url + "/x?token=1") for _ in range(3)]
    assert {response.stop_reason for response in responses} == {"budget_exhausted"}
    with pytest.raises(reknock.HTTPStatusError, match=r"^GET .*: 503 Service Unavailable after 1 attempt in .* \(budget_exhausted\)$"):
        responses[0].raise_for_status()
    lines = refusals(caplog)
    assert lines and len(lines) <= len(responses) and {level for level, _ in lines} == {"WARNING"}
    assert f"/x?token=...: the retry budget of {script.url} refused a retry after 503; " in lines[0][1]
    while len(refusals(caplog)) == len(lines):
        call("GET", script.url, {"policy": poor})
    assert len(refusals(caplog)) - len(lines) == 1, "once a second, whichever client"


POOR = {"budget": {"ratio": 0, "min_per_second": 0}, "backoff": "1ms"}


def bare(origin):
    retry = reknock.Retry(POOR, origin=origin, budgets=reknock.Budgets())
    retry.attempt()
    retry.classify(status_code=503)
    assert retry.decide().stop_reason == "budget_exhausted"


def function(origin):
    def refused():
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError) as caught:
        reknock.retrying(POOR, origin=origin, budgets=reknock.Budgets())(refused)()
    assert "= budget_exhausted" in caught.value.__notes__[0]


@pytest.mark.parametrize(("drive", "outcome"), [(bare, "503"), (function, "connect")])
def test_refusals_are_warnings_whoever_drives_the_machine(caplog, drive, outcome):
    origin = f"http://{drive.__name__}.test"
    for _ in range(3):
        drive(origin)
    lines = refusals(caplog)
    assert lines and len(lines) < 3 and {level for level, _ in lines} == {"WARNING"} and lines[0][1].startswith(f"the retry budget of {origin} refused a retry after {outcome}; ")
