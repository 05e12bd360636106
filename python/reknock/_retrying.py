"""The loop of all adapters and of functions that are retried: it asks the machine, and lets others send and wait.

Written once, as a generator of steps: what it yields is done by `run` or `arun`, and comes back as a value or an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

from . import _clock, _log, _nesting, _watch
from ._exceptions import DeadlineExceeded
from ._failures import class_name, failure_of, followed, response_of
from ._native import Budgets, Event, Identity, Limits, Policy, Retry, SentRequest, allows_nesting, shown_text, unraisable
from ._nesting import current_attempt
from ._records import Records, leave

if TYPE_CHECKING:
    from ._options import Nesting

T = TypeVar("T")
Steps = Generator[Callable[[], Any], Any, T]
OPTIONS = ("policy", "budgets", "retry_if", "delay", "on_event", "nesting", "name")


_DEFAULT = Policy()


@dataclass(frozen=True)
class Options:
    """What an adapter was told; a call may say otherwise."""

    policy: Policy = _DEFAULT
    budgets: Budgets = field(default_factory=Budgets)
    retry_if: Callable[[AttemptView], Any] | None = None
    delay: Callable[[AttemptView], Any] | None = None
    on_event: Callable[[Event], object] | None = None
    nesting: Nesting = "stop"
    name: str | Callable[[str, str], str | None] | None = None

    def __post_init__(self) -> None:
        allows_nesting(self.nesting)
        if self.name is not None and not isinstance(self.name, str) and not callable(self.name):
            raise TypeError(f"name: must be a text, or a function of method and URL, got {type(self.name).__name__}")

    @classmethod
    def of(cls, policy: Any = None, **options: Any) -> Options:
        """Of what a constructor was given; None is the default."""
        return cls(policy=policy_over(_DEFAULT, policy), **{name: value for name, value in options.items() if value is not None})

    def over(self, options: Any) -> Options:
        """With what a call says: a policy replaces, a dict is merged over it, False turns retries off."""
        if not options:
            return self
        unknown = set(options) - set(OPTIONS)
        if unknown:
            raise TypeError(f"reknock takes {', '.join(OPTIONS)} of a call, not {', '.join(map(shown_text, sorted(unknown)))}")
        said = {**self.__dict__, **options}
        said["policy"] = policy_over(self.policy, options.get("policy"))
        return Options(**said)


def policy_over(base: Policy, policy: Any) -> Policy:
    """The policy of one who may say something about it."""
    if policy is None:
        return base
    if isinstance(policy, Policy):
        return policy
    return base.replace(max_retries=0) if policy is False else base.merge(policy)


@dataclass(slots=True)
class CurrentAttempt:
    """The attempt that is under way where this is asked: `reknock.current_attempt()`."""

    number: int
    """From 1."""
    retries_left: int
    """Retries that may follow it."""
    _retry: Retry = field(repr=False)
    _active: bool = field(default=True, repr=False)

    @property
    def remaining(self) -> float | None:
        """Seconds left of the whole call; None if it has no limit."""
        return self._retry.remaining(now=_clock.now())

    @property
    def limits(self) -> Limits | None:
        """What the policy allows this attempt, none longer than what is left."""
        return self._retry.limits(now=_clock.now())


@dataclass(frozen=True)
class AttemptView:
    """One attempt and how it ended, as callbacks see it: as `reknock.Attempt`, and with what its own world made."""

    number: int
    retries_left: int
    request: Any
    elapsed: float
    status_code: int | None
    headers: Any
    error: str | None
    evidence: str
    hint: float | None
    verdict: bool
    planned_wait: float | None
    exception: Exception | None
    """What was raised."""
    result: Any
    """What was returned: the adapter's response, the function's value."""
    call: Identity
    """Whose call it is."""

    @property
    def message(self) -> str | None:
        """One line about the failure."""
        return None if self.exception is None else str(self.exception)


@dataclass(slots=True)
class Call:
    """One call that somebody else sends."""

    options: Options
    method: str = "GET"
    origin: str = ""
    headers: Any = None
    request: Any = None
    """What callbacks are shown."""
    replayable: Callable[[], bool] | None = None
    """Whether its body can be produced again; None is yes."""
    judge: Callable[[Any, Exception | None], bool | None] | None = None
    """What its caller says of outcomes before anybody is asked: retry, stop, or nothing."""
    read: Callable[[Any], Any] | None = None
    """Reads the body of a response that would be handed out, so that one that breaks is an outcome of its own; gives the response."""
    status_of: Callable[[Any], tuple[int, Any] | None] = response_of
    """Of what was returned or raised: the status, and the header fields or a function that gives them, for they are seldom looked at."""
    failure: Callable[[Exception], tuple[str, str] | None] = failure_of
    function: str | None = None
    """Its name, if it is one: it has no method and no URL of its own."""
    identity: Identity | None = None
    """What observers and callbacks know it by, once somebody asked."""
    over: bool = False
    """Its end was told."""

    def begin(self, now: float) -> Retry:
        """The machine of this call, at its beginning."""
        about, around = self.options, current_attempt()
        nested = around is not None and not allows_nesting(about.nesting)
        asked = about.retry_if is not None or self.judge is not None
        return Retry(
            about.policy, method=self.method, origin=self.origin, headers=self.headers, budgets=about.budgets, asked=asked, nested=nested,
            now=now,
        )

    def classify(self, retry: Retry, result: Any, error: Exception | None) -> tuple[Any, Any]:
        """Tells the machine how an attempt ended; its verdict, and the status and header fields if there are any."""
        now = _clock.now()
        about = self.status_of(result if error is None else error)
        if about is not None:
            status, headers = about
            verdict = retry.classify(status_code=status, headers=lambda: _lines(headers), wall=_clock.wall(), now=now)
            if followed(result if error is None else error):
                retry.followed()
            return verdict, about
        if error is None:
            return retry.classify(returned=True, now=now), None
        found = (error.failure if isinstance(error, Failed) else None) or self.failure(error)
        own = error.error if isinstance(error, Failed) else error
        kind, evidence = found or (None, "unknown")
        # A limit of theirs that was cut short by what was left of the call is that.
        if kind in ("per_try_timeout", "connect_timeout") and retry.remaining(now=now) == 0:
            kind = "deadline"
        said: dict[str, Any] = {"error": kind, "evidence": evidence, "error_class": class_name(own)}
        return retry.classify(**said, now=now), None

    def view(self, retry: Retry, began: float, verdict: Any, about: Any, result: Any, error: Exception | None) -> AttemptView:
        """What callbacks see."""
        last = retry.attempts[-1]
        status, headers = about or (None, {})
        return AttemptView(
            last.number, retry.retries_left, self.request, _clock.now() - began, status, _told(headers), last.error, last.evidence, verdict.hint,
            verdict.retry, verdict.planned_wait, error, result, self.identified(),
        )

    def tell(self, retry: Retry) -> None:
        """Tells observers and the log of a retry, or of the end. What they raise fails no call, and is kept from no other."""
        told, watcher, log = self.options.on_event, _watch.watcher, _log.wanted()
        if told is None and watcher is None and log < (1 if retry.failed else 2):
            return
        identity = self.identified()
        event = retry.event(identity, now=_clock.now())
        if told is not None:
            for notice in retry.notices(identity):
                _say(told, notice)
        _say(_log.event, event)
        if watcher is not None:
            _say(watcher.told, self, event)
        if told is not None:
            _say(told, event)

    def identified(self) -> Identity:
        """Whose call it is: worked out once, when somebody wants to know."""
        if self.identity is None:
            self.identity = self._identity()
        return self.identity

    def _identity(self) -> Identity:
        if self.function is not None:
            return Identity.of_function(self.function, self.origin)
        name = self.options.name
        try:
            return Identity.of_request(self.method, self.origin, name(self.method, self.origin) if callable(name) else name)
        except Exception as error:
            unraisable(error, name)
            return Identity.of_request(self.method, self.origin, None)

    def end(self, retry: Retry) -> None:
        """Tells of the end, once."""
        if not self.over:
            self.over = True
            self.tell(retry)

    def give_up(self, retry: Retry, error: BaseException) -> None:
        """What is neither the result of an attempt nor its failure ends the call, unless it is over: its caller cancels it, or a callback failed."""
        if self.over:
            return
        is_ours = isinstance(error, Exception)
        retry.give_up("callback" if is_ours else "cancelled", now=_clock.now())
        self.end(retry)
        if is_ours:
            leave(error, retry, self)


def _say(observer: Callable[..., object], *what: Any) -> None:
    try:
        observer(*what)
    except Exception as error:
        unraisable(error, observer)


def _told(headers: Any) -> Any:
    """Header fields, or what the function that stands for them gives."""
    return headers() if callable(headers) and not hasattr(headers, "items") else headers


def _lines(headers: Any) -> list[tuple[str, str]]:
    """Line by line, where they can be had so: `items` of httpx joins them."""
    headers = _told(headers)
    lines = headers.multi_items() if hasattr(headers, "multi_items") else headers.items() if hasattr(headers, "items") else headers
    return [(str(name), str(value)) for name, value in lines]


class Failed(Exception):
    """An attempt that failed in a way whose kind and evidence its adapter knows better than the class of the error."""

    def __init__(self, error: Exception, failure: tuple[str, str]) -> None:
        super().__init__(str(error))
        self.error, self.failure = error, failure


def steps(
    call: Call,
    send: Callable[[CurrentAttempt, Retry], Any],
    drop: Callable[[Any], Any],
    sleep: Callable[[float], Any],
) -> Steps[Any]:
    """Sends until the machine says stop: `send` makes an attempt, `drop` frees what a retried response holds."""
    began = _clock.now()
    retry = call.begin(began)
    try:
        while True:
            number = retry.attempt(now=_clock.now())
            attempt = CurrentAttempt(number, retry.retries_left, retry)
            result, error = None, None
            token = _nesting.attempt.set(attempt)
            try:
                result = yield lambda: send(attempt, retry)
            except Exception as caught:
                error = caught
            finally:
                attempt._active = False
                _nesting.attempt.reset(token)
            verdict, about = call.classify(retry, result, error)
            own = error.error if isinstance(error, Failed) else error
            wait = yield from decided(call, retry, began, verdict, about, result, own)
            if wait is None and error is None and call.read is not None:
                try:
                    result = yield lambda: call.read(result)  # type: ignore[misc]
                except Exception as caught:
                    result, own = None, caught
                    on_its_own = retry.stop_reason in ("completed", "not_retryable", "predicate_stop")
                    verdict, about = call.classify(retry, None, Failed(caught, ("body", "unknown")))
                    # A response that was given up on stays given up.
                    if on_its_own:
                        wait = yield from decided(call, retry, began, verdict, about, None, own)
            if wait is None:
                return finished(call, retry, result, own)
            call.tell(retry)
            if own is None:
                yield lambda: drop(result)
            yield lambda: sleep(wait)
    except BaseException as caught:
        call.give_up(retry, caught)
        raise


def decided(call: Call, retry: Retry, began: float, verdict: Any, about: Any, result: Any, error: Exception | None) -> Steps[float | None]:
    """Asks whoever is to be asked, then the machine: the wait before a retry, or None."""
    options, replayable = call.options, call.replayable is None or call.replayable()
    said: dict[str, Any] = {}
    if call.judge is not None:
        said["retry"] = call.judge(result, error)
    retry_if, delay = options.retry_if, options.delay
    if retry_if is None and delay is None:
        return retry.decide(**said, replayable=replayable, now=_clock.now()).wait
    view = call.view(retry, began, verdict, about, result, error)
    if retry_if is not None and said.get("retry") is None and retry.is_worth_asking(replayable=replayable, now=_clock.now()):
        said["opinion"] = yield lambda: retry_if(view)
    opinion = said.get("opinion")
    if delay is not None and (verdict.retry or said.get("retry") or opinion is True) and opinion in (None, False, True):
        said["backoff"] = yield lambda: delay(view)
    return retry.decide(**said, replayable=replayable, now=_clock.now()).wait


def finished(call: Call, retry: Retry, result: Any, error: Exception | None) -> Any:
    """The end of a call: the last response as it is, or the last error, each with its records."""
    retry.finish(now=_clock.now())
    call.end(retry)
    if error is None:
        leave(result, retry, call)
        return result
    leave(error, retry, call)
    raise error


def run(steps: Steps[T]) -> T:
    """Does the steps on this thread."""
    value, error = None, None
    try:
        while True:
            step = steps.send(value) if error is None else steps.throw(error)
            value, error = None, None
            try:
                value = step()
            except BaseException as caught:
                error = caught
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        steps.close()


async def arun(steps: Steps[T]) -> T:
    """Does the steps in this task; a step may be a coroutine."""
    value, error = None, None
    try:
        while True:
            step = steps.send(value) if error is None else steps.throw(error)
            value, error = None, None
            try:
                value = step()
                if isawaitable(value):
                    value = await value
            except BaseException as caught:
                error = caught
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def past_deadline(call: Call) -> DeadlineExceeded:
    """The error of a call whose time was over while an attempt was under way."""
    return DeadlineExceeded(f"{call.function}: the call did not end within its policy's timeout; raise timeout to allow more")


__all__ = ["AttemptView", "Call", "CurrentAttempt", "Failed", "Options", "Records", "SentRequest", "arun", "current_attempt", "past_deadline", "run", "steps"]
