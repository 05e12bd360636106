"""Retries for people who keep urllib3.

    http = reknock.urllib3.PoolManager(policy={"max_retries": 3})
"""

from __future__ import annotations

from typing import Any

import urllib3
from urllib3.util import Retry as TheirRetry, Timeout
from urllib3.util.request import rewind_body, set_file_position

from . import _clock
from ._bodies import IterRecording, Recording
from ._retrying import Call, CurrentAttempt, Options, run, steps

_OFF = TheirRetry(
    total=None, connect=0, read=0, status=0, other=0, redirect=0, raise_on_status=False, raise_on_redirect=False, respect_retry_after_header=False,
)


class PoolManager(urllib3.PoolManager):
    """A `PoolManager` under a policy. Redirects are followed as urllib3 does, each a call of its own; its own retries are off.

    policy, budgets, retry_if, delay, on_event, nesting, name: as of `reknock.requests.RetryAdapter`. Other arguments are those of `PoolManager`. A
    request's `retries=False` turns ours off; a `Retry` of urllib3's is refused.
    """

    def __init__(
        self,
        *args: Any,
        policy: Any = None,
        budgets: Any = None,
        retry_if: Any = None,
        delay: Any = None,
        on_event: Any = None,
        nesting: Any = None,
        name: Any = None,
        **pools: Any,
    ) -> None:
        self.options = Options.of(policy, budgets=budgets, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name)
        super().__init__(*args, **pools)

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> Any:  # type: ignore[override]
        """As urllib3 has it, once per attempt."""
        theirs = options.pop("retries", None)
        if theirs not in (None, False):
            raise TypeError("retries: say it in the policy; two loops would multiply. False turns ours off for this request")
        hops = options.pop("_hops", 0)
        about = self.options.over({"policy": False} if theirs is False else None)
        body: Any = options.get("body")
        timeout = options.pop("timeout", None)
        position = set_file_position(body, None)
        headers = options.get("headers") if options.get("headers") is not None else self.headers

        def send(attempt: CurrentAttempt, retry: Any) -> Any:
            if attempt.number == 1 and not _is_replayable(options.get("body"), position):
                options["body"] = IterRecording(body, retry.max_body_buffer)
            if attempt.number > 1 and position is not None:
                rewind_body(body, position)
            more = retry.headers
            own = {**(headers or {}), **dict(more)} if more else headers
            return super(PoolManager, self).urlopen(
                method, url, False, **{**options, "preload_content": False, "headers": own, "retries": _OFF, "timeout": _clipped(timeout, retry.limits(now=_clock.now()))},
            )

        call = Call(
            about, method, url, headers, None,
            lambda: _is_replayable(options.get("body"), position), read=_read if options.get("preload_content", True) else None, status_of=_head,
        )
        response = run(steps(call, send, drain, _clock.sleep))
        location = response.get_redirect_location() if redirect else None
        if not location or hops >= 20:
            return response
        response.drain_conn()
        if response.status == 303 and method != "HEAD":
            method, options = "GET", {**options, "body": None, "headers": _without_body(headers)}
        target = urllib3.util.parse_url(url)
        location = location if "://" in location else _joined(url, location)
        if (target.scheme, target.netloc) != ((there := urllib3.util.parse_url(location)).scheme, there.netloc):
            secret = {name.lower() for name in TheirRetry.DEFAULT_REMOVE_HEADERS_ON_REDIRECT}
            options["headers"] = {name: value for name, value in (options.get("headers") or headers or {}).items() if name.lower() not in secret}
        if position is not None and isinstance(position, int) and options.get("body") is not None:
            rewind_body(body, position)
        return self.urlopen(method, location, redirect, **options, retries=theirs, timeout=timeout, _hops=hops + 1)


def _is_replayable(body: Any, position: Any) -> bool:
    if isinstance(body, Recording):
        return body.is_whole
    return body is None or isinstance(body, (bytes, str)) or isinstance(position, int)


def _joined(url: str, location: str) -> str:
    from urllib.parse import urljoin

    return urljoin(url, location)


def _without_body(headers: Any) -> dict[str, str]:
    gone = {"content-encoding", "content-language", "content-location", "content-type", "content-length", "digest", "last-modified"}
    return {name: value for name, value in (headers or {}).items() if name.lower() not in gone}


def _read(response: Any) -> Any:
    # As urllib3 does when it preloads.
    response._body = response.read(decode_content=response.decode_content)
    return response


def _head(thing: Any) -> tuple[int, Any] | None:
    return (thing.status, lambda: list(thing.headers.items())) if isinstance(thing, urllib3.BaseHTTPResponse) else None


def least(*limits: Any) -> float | None:
    """The least of those that are numbers: urllib3 takes none of zero."""
    found = None
    for limit in limits:
        if isinstance(limit, (int, float)) and (found is None or limit < found):
            found = limit
    return None if found is None else max(found, 0.001)


def _clipped(timeout: Any, limits: Any) -> Timeout:
    if timeout is None:
        total = connect = read = None
    else:
        theirs = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        total, connect, read = theirs.total, theirs._connect, theirs._read
    return Timeout(
        total=least(total, limits.remaining), connect=least(connect, limits.connect_timeout),
        read=least(read, limits.per_try_timeout, limits.idle_timeout),
    )


def drain(response: Any) -> None:
    """Reads a little, without waiting for a server that is slow, so that the connection can be used again; else closes it."""
    sock = getattr(getattr(response, "_connection", None), "sock", None)
    try:
        # Without one the connection ends with the response: there is nothing to be had.
        if sock is not None:
            sock.settimeout(0.05)
            if len(response.read(64 * 1024, decode_content=False)) < 64 * 1024:
                response.release_conn()
                return
    except Exception:  # whatever it is, nobody wants this response
        pass
    response.close()


__all__ = ["PoolManager"]
