"""Retries for people who keep requests.

    session = requests.Session()
    session.mount("https://", reknock.requests.RetryAdapter({"max_retries": 3}))
"""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import rewind_body

from . import _clock
from ._bodies import IterRecording, Recording
from ._retrying import Call, CurrentAttempt, Options, run, steps
from .urllib3 import drain, least

class RetryAdapter(HTTPAdapter):
    """An `HTTPAdapter` under a policy: its own pools, proxies, TLS and mocks.

    policy: a `Policy`, a dict over the default one, the name of a preset such as "llm", or False.
    budgets: to share with other adapters, clients and functions. Default: its own.
    retry_if, delay, on_event, nesting: as of a client.
    name: what events, logs and telemetry name its calls: a text, or a function of method and URL that gives one or None.
    Other arguments are those of `HTTPAdapter`, but for `max_retries`: its own retries are off.

    Bodies that are read by requests itself are read inside, so that one that breaks is retried; `stream=True` hands them out as they come. Each
    redirect is a call of its own. The last response or the original error comes back as it is; `reknock.attempts_of(...)` tells what was sent.
    """

    def __init__(
        self,
        policy: Any = None,
        *,
        budgets: Any = None,
        retry_if: Any = None,
        delay: Any = None,
        on_event: Any = None,
        nesting: Any = None,
        name: Any = None,
        **adapter: Any,
    ) -> None:
        if adapter.get("max_retries"):
            raise TypeError("max_retries: say it in the policy; two loops would multiply")
        self.options = Options.of(policy, budgets=budgets, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name)
        super().__init__(**adapter)

    def __getstate__(self) -> dict[str, Any]:
        """Budgets and functions stay behind: a copy in another process has budgets of its own."""
        return {**super().__getstate__(), "policy": self.options.policy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.options = Options(policy=state.pop("policy"))
        super().__setstate__(state)

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
        **rest: Any,
    ) -> Any:
        def send(attempt: CurrentAttempt, retry: Any) -> Any:
            if attempt.number == 1 and not _is_replayable(request):
                request.body = IterRecording(request.body, retry.max_body_buffer)
            if attempt.number > 1 and request._body_position is not None:
                rewind_body(request)
            for name, value in retry.headers:
                request.headers[name] = value
            limits = _clipped(timeout, retry.limits(now=_clock.now()))
            # Bodies are read below, once their status was judged: requests is told to leave them.
            return super(RetryAdapter, self).send(request, True, limits, verify, cert, proxies, **rest)

        call = Call(
            self.options, request.method, request.url, request.headers, request, lambda: _is_replayable(request),
            read=None if stream else _read, status_of=_head,
        )
        return run(steps(call, send, _drop, _clock.sleep))


def _read(response: Any) -> Any:
    response.content  # noqa: B018 (read, and kept by the response)
    return response


def _head(thing: Any) -> tuple[int, Any] | None:
    if not isinstance(thing, requests.Response):
        return None
    raw = getattr(thing.raw, "headers", None)
    return thing.status_code, (lambda: list(raw.items())) if raw is not None else thing.headers


def _is_replayable(request: Any) -> bool:
    """Bytes and text are; a file is, from where it stood; what is iterated is, if it was kept."""
    if isinstance(request.body, Recording):
        return request.body.is_whole
    return request.body is None or isinstance(request.body, (bytes, str)) or isinstance(request._body_position, int)


def _clipped(timeout: Any, limits: Any) -> tuple[float | None, float | None]:
    """The limits of connecting and of silence, as requests takes them."""
    if hasattr(timeout, "connect_timeout"):
        timeout = timeout.connect_timeout, timeout.read_timeout
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return least(connect, limits.connect_timeout), least(read, limits.per_try_timeout, limits.idle_timeout)


def _drop(response: Any) -> None:
    drain(response.raw)
    response.close()


__all__ = ["RetryAdapter"]
