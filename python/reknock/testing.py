"""Tests of code that calls through reknock: scripted answers in place of servers, and no waiting.

    with reknock.testing.Script([503, "reset", 200]) as script:
        response = reknock.get("http://service.test/")
    assert response.status_code == 200 and len(script.sends) == 3
    assert script.waits == tuple(attempt.wait for attempt in response.attempts[:2])

Inside the `with` block the script answers every client, those made before included; or a client gets one as `transport`. What it
answers is decided by the policy as ever: all but the network is real. Connections, budgets and time are the script's own. Time moves
only by the waits before retries and by what `Step(after=...)` and "hang" take; while callbacks run and bodies are made it stands
still. The waits are the same in each run; another `seed` gives others.

A step is a status, the kind of a failure ("connect", "connect_timeout", "tls", "reset", "refused_stream", "protocol",
"per_try_timeout", "body"), "hang" for no answer until a limit ends the attempt, or a `Step`. The last one repeats.

`no_wait()` is for adapters and functions: their own client or mock answers, and nobody waits before retries.

For pytest there is a fixture, `reknock_script`: `script = reknock_script([503, 200])` answers until the test is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import _clock
from ._native import Script, Sent, Step

__all__ = ["Script", "Sent", "Step", "no_wait"]


@contextmanager
def no_wait() -> Iterator[list[float]]:
    """Lets adapters and functions that are retried wait for nothing, in all threads: their time leaps. Gives the waits, in seconds, as they come.

        with reknock.testing.no_wait() as waits:
            fetch()
        assert len(waits) == 2

    Clients of reknock's own are tested by a `Script`. Budgets that are used inside are ahead of the clock afterwards: use new ones.
    """
    virtual = _clock.Virtual()
    _clock.virtual.append(virtual)
    try:
        yield virtual.waits
    finally:
        _clock.virtual.remove(virtual)
