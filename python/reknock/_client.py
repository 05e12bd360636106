"""The clients. They convert calls into the core's and run callbacks where the caller is."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager

from . import _native
from ._calls import finish, prepared
from ._log import wanted
from ._native import BudgetReading, Cookies, Policy, PolicySet, Request, Response
from ._stream import AsyncStreamingResponse, StreamingResponse

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self, Unpack

    from ._options import URL, CallOptions, ClientOptions


class BearerAuth:
    """Authorises calls with a bearer token: `auth=BearerAuth(token)`.

    Any function of the request will do as `auth`. It is called once per call, before the first send; a token that may expire between
    attempts belongs into `before_retry` as well.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Request) -> None:
        request.set_bearer_auth(self._token)

    def __repr__(self) -> str:
        return "BearerAuth(...)"


class _Base:
    """What both clients have."""

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        # As httpx and requests do.
        options.setdefault("cookies", True)
        self._native = _native.Client(options)

    @property
    def policy(self) -> Policy:
        """The client's policy; of a set, the one for requests that no rule is for."""
        return self._native.policy

    @property
    def policies(self) -> PolicySet:
        """The client's policies: a set of one, unless it was given another."""
        return self._native.policies

    @property
    def cookies(self) -> Cookies | None:
        """The client's jar of cookies; None if they are turned off."""
        return self._native.cookies

    def budget(self, origin: str) -> BudgetReading | None:
        """What the budget for an origin (`scheme://host`, with a port that is not the default) has; None if no call used it yet."""
        return self._native.budget(origin)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.policy!r}>"


class Client(_Base):
    """Sends requests under a policy, on the calling thread. May be shared between threads."""

    def request(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a request and reads the whole response. Raises an `HTTPError` if there is none; any status is a response."""
        return finish(prepared(self._native, method, url, options).send(wanted()))  # type: ignore[no-any-return]

    def get(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a GET request."""
        return self.request("GET", url, **options)

    def options(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends an OPTIONS request."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a HEAD request."""
        return self.request("HEAD", url, **options)

    def post(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a POST request."""
        return self.request("POST", url, **options)

    def put(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PUT request."""
        return self.request("PUT", url, **options)

    def patch(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PATCH request."""
        return self.request("PATCH", url, **options)

    def delete(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a DELETE request."""
        return self.request("DELETE", url, **options)

    @contextmanager
    def stream(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Iterator[StreamingResponse]:
        """Sends a request and hands out the response once its head is there; its connection is closed with the block.

        If the head comes before the end of a body that is produced, the rest is produced while the response is read.
        """
        response = StreamingResponse(finish(prepared(self._native, method, url, options).stream(wanted())))
        try:
            yield response
        finally:
            response.close()

    def close(self) -> None:
        """Ends the calls in flight, and those to come, with `ClientClosed`."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Base):
    """Sends requests under a policy, in asyncio and trio. May be shared between event loops and threads."""

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        super().__init__(**options)
        # Not at the top: asyncio takes longer to import than all of reknock. Not in each call: that takes a microsecond.
        from . import _loop

        self._bridge, self._finish, self._upload = _loop.bridge, _loop.finish, _loop.upload

    async def request(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a request and reads the whole response. Raises an `HTTPError` if there is none; any status is a response."""
        own = self._bridge()
        call, first = own.send(prepared(self._native, method, url, options), wanted(), False)
        response: Response = await self._finish(own, call, first)
        return response

    async def get(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a GET request."""
        return await self.request("GET", url, **options)

    async def options(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends an OPTIONS request."""
        return await self.request("OPTIONS", url, **options)

    async def head(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a HEAD request."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a POST request."""
        return await self.request("POST", url, **options)

    async def put(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PUT request."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PATCH request."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a DELETE request."""
        return await self.request("DELETE", url, **options)

    @asynccontextmanager
    async def stream(self, method: str, url: URL, **options: Unpack[CallOptions]) -> AsyncIterator[AsyncStreamingResponse]:
        """Sends a request and hands out the response once its head is there; its connection is closed with the block.

        A body that is produced goes on until the block is left: an asynchronous producer has a task of its own.
        """
        own = self._bridge()
        call, first = own.send(prepared(self._native, method, url, options), wanted(), True)
        upload = self._upload(own, call)
        try:
            response = AsyncStreamingResponse(await self._finish(own, call, first))
            response._upload = upload
            try:
                yield response
            finally:
                response.close()
        finally:
            if upload is not None:
                await upload.stop()

    async def aclose(self) -> None:
        """Ends the calls in flight, and those to come, with `ClientClosed`."""
        self._native.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
