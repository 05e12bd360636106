"""Retries for people who keep boto3.

    s3 = reknock.botocore.install(boto3.client("s3"))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import _clock
from ._native import Budgets, Retry
from ._records import Records, leave
from ._retrying import Call, Options, decided, run

THROTTLED = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "TooManyRequestsException",
    "ProvisionedThroughputExceededException", "TransactionInProgressException", "RequestLimitExceeded", "BandwidthLimitExceeded",
    "LimitExceededException", "RequestThrottled", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException",
})
"""The codes by which services say that there were too many requests, whatever the status."""


def install(
    client: Any,
    policy: Any = None,
    *,
    budgets: Budgets | None = None,
    retry_if: Any = None,
    delay: Any = None,
    on_event: Any = None,
    nesting: Any = None,
    name: Any = None,
) -> Any:
    """Puts a client of boto3 under a policy, in place of botocore's own retries; gives the client.

    Botocore sends, signs anew, rewinds bodies and waits; the policy decides. Amazon's operations may be repeated, as botocore does: the default
    policy here has `methods: any`. A throttle by its code is judged as a 429. The limits of an attempt are those of botocore's `Config`: the
    policy's `timeout` ends waits alone. Calls are named by service and operation ("s3.GetObject"), unless there is a `name`. What callbacks see as `result` is what the operation would return.
    """
    document = {"methods": "any", **(policy or {})} if policy is None or isinstance(policy, dict) else policy
    service = client.meta.service_model.service_id.hyphenize()
    handler = _Handler(Options.of(document, budgets=budgets, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name), service)
    events = client.meta.events
    events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
    # What it tells services of the number of its own attempts.
    events.unregister(f"request-created.{service}", unique_id=f"seed-max-attempts-{service}")
    events.register_last(f"needs-retry.{service}", handler.decide, unique_id="reknock")
    events.register_first(f"request-created.{service}", handler.attempt, unique_id="reknock-attempt")
    handler.watch(client._endpoint)
    return client


class _Handler:
    """What botocore asks of each attempt; a call's machine lives in its context."""

    def __init__(self, options: Options, service: str) -> None:
        self.options, self.service = options, service
        self.of_operation: dict[str, Options] = {}

    def named(self, operation: str) -> Options:
        """The options of an operation's calls, which it names."""
        if self.options.name is not None:
            return self.options
        found = self.of_operation.get(operation)
        if found is None:
            found = self.of_operation[operation] = replace(self.options, name=f"{self.service}.{operation}")
        return found

    def watch(self, endpoint: Any) -> None:
        """Sees calls end that botocore tells nobody of: by Ctrl-C, or because a request could not be signed."""
        make = endpoint.make_request

        def make_request(operation_model: Any, request_dict: dict[str, Any]) -> Any:
            try:
                return make(operation_model, request_dict)
            except BaseException as error:
                context = request_dict["context"]
                call: Call | None = context.get("reknock.call")
                if call is not None and not call.over:
                    retry: Retry = context["reknock"]
                    if isinstance(error, Exception):
                        retry.give_up("invalid_request", now=_clock.now())
                        call.end(retry)
                        leave(error, retry, call)
                    else:
                        call.give_up(retry, error)
                raise

        endpoint.make_request = make_request

    def attempt(self, request: Any, operation_name: str, **_: Any) -> None:
        """A request is about to be signed and sent."""
        now, context = _clock.now(), request.context
        retry: Retry | None = context.get("reknock")
        # Botocore itself begins anew where a bucket turns out to be elsewhere.
        if retry is None or retry.stop_reason is not None:
            call = Call(self.named(operation_name), request.method, request.url, request.headers.items())
            context["reknock"] = retry = call.begin(now)
            context["reknock.call"], context["reknock.began"] = call, now
        number = retry.attempt(now=now)
        # What botocore's counter tells services: `amz-sdk-request: attempt=1; max=3`.
        if (counted := context.get("retries")) is not None:
            counted["max"] = number + retry.retries_left
        for name, value in retry.headers:
            request.headers[name] = value

    def decide(self, response: Any, caught_exception: Any, request_dict: dict[str, Any], **_: Any) -> float | None:
        """How an attempt ended: the seconds until the next one, or None."""
        retry: Retry | None = request_dict["context"].get("reknock")
        if retry is None:
            return None
        context = request_dict["context"]
        call: Call = context["reknock.call"]
        result, about = None, None
        if response is not None:
            http, result = response
            code = result.get("Error", {}).get("Code") if isinstance(result, dict) else None
            # Lines as they came, which botocore joins.
            headers = getattr(http.raw, "headers", None) or http.headers
            about = 429 if code in THROTTLED else http.status_code, lambda: list(headers.items())
        call.status_of = lambda _: about
        try:
            verdict, about = call.classify(retry, result, caught_exception)
            wait = run(decided(call, retry, context["reknock.began"], verdict, about, result, caught_exception))
        except BaseException as caught:
            call.give_up(retry, caught)
            raise
        if wait is not None:
            call.tell(retry)
            return 0 if _clock.leapt(wait) else wait
        retry.finish(now=_clock.now())
        call.end(retry)
        if caught_exception is not None:
            leave(caught_exception, retry, call)
        elif isinstance(result, dict):
            result.setdefault("ResponseMetadata", {})["Reknock"] = Records.of(retry, call)
        return None


__all__ = ["install"]
