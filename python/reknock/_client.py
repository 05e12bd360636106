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
    from inspect import Signature
    from typing import Self, Unpack

    from ._exceptions import HTTPError
    from ._options import URL, CallOptions, ClientOptions, PolicyLike


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


class _Default:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Keywords:
    """The signature with each option in place of `**options`, and its default as the help of the class says it, for shells that complete them; made
    when it is asked for."""

    def __get__(self, client: _Base | None, cls: type[_Base]) -> Signature:
        if client is not None or cls.__init__.__module__ != __name__:
            raise AttributeError("__signature__")  # a subclass has its own
        import re
        from inspect import Parameter, Signature, getdoc

        from ._options import ClientOptions

        said = re.findall(r"^([a-z0-9_, ]+): .* Default: (.+?)\.(?: [A-Z].*)?$", getdoc(cls) or "", re.MULTILINE)
        defaults = {name: default for names, default in said for name in names.split(", ")}
        names = ClientOptions.__annotations__
        return Signature([Parameter(name, Parameter.KEYWORD_ONLY, default=_Default(defaults.get(name, "..."))) for name in names])


class _Base:
    """What both clients have."""

    __signature__ = _Keywords()

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        # As httpx and requests do.
        options.setdefault("cookies", True)
        self._native = _native.Client(options)

    @property
    def policy(self) -> Policy:
        """The client's policy; of a set, the one for requests that no rule is for."""
        return self._native.policy

    def set_policy(self, policy: PolicyLike | PolicySet) -> None:
        """Other policies for the calls that begin from now on; those in flight keep theirs, and budgets with the same parameters go on. A budget's name that has
        others now is a fresh purse, for all clients of the process."""
        self._native.set_policy(policy)

    @property
    def policy_error(self) -> HTTPError | None:
        """Why the last change of the file that the client follows (`PolicySet.load(path, watch=True)`) was not taken; None if it was."""
        return self._native.policy_error

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
    """Sends requests under a policy, on the calling thread. May be shared between threads.

        with reknock.Client(base_url="http://127.0.0.1:8080", timeout=10, policy={"max_retries": 3}) as client:
            orders = client.get("/orders").raise_for_status().json()

    Keywords, all optional:

    policy: a `Policy`, a dict over the default one, or False for no retries. Default: reknock.Policy(). Its help lists the keys.
    timeout: seconds or a timedelta, or None. Default: 60.
        Limit of a whole call: attempts, waits, callbacks, reading the body.
    retry_if, delay, before_retry, on_event: functions. Default: None.
        Asked whether to retry, for the wait, to edit the next attempt's request; told of attempts, retries, redirects, notices and ends.
    with_body: true or false. Default: False.
        Lets retry_if and delay of buffered calls see the body.
    budgets: a `Budgets`. Default: the client's own.
        Retry budgets to share with other clients, adapters and functions.
    nesting: "stop" or "allow". Default: "stop".
        Within an attempt of an adapter or of a function that is retried, "stop" sends once; "allow" retries there too, which multiplies.
    transport: a `reknock.testing.Script`. Default: the network.
        What answers in place of servers.
    base_url: URL. Default: None.
        What relative URLs are appended to.
    headers: map, or list of pairs. Default: None.
        Header fields of all requests that do not bring them themselves.
    auth: user name and password, or a function of the request such as 'BearerAuth(token)'. Default: None.
        Basic credentials of all requests.
    follow_redirects: true or false. Default: True.
        Whether redirects are followed. One whose 'Location' leads nowhere (empty, '#top', 'data:') is the answer itself.
    max_redirects: 0..=1000. Default: 20.
        The most redirects that are followed in one call.
    max_response_size: bytes, or None. Default: None.
        The largest response body, decompressed, that is read into memory.
    http2: 'auto', 'only', None, true or false. Default: "auto".
        Which HTTP versions to speak.
    http2_ping: seconds or a timedelta, or None. Default: 5.
        How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life. After as long again the connection is lost.
    proxy: URL, or None. Default: what the environment says.
        The proxy for everything (http, https, socks5 or socks5h); none also ignores the environment's.
    verify: true or false, PEM text, or a path. Default: True.
        Whether the server's certificate is checked; or the root certificates to trust alone.
    ca_bundle: PEM text, or a path. Default: None.
        Root certificates to trust besides the system's.
    cert: PEM text or a path, or a list of certificate and key. Default: None.
        The certificate to show to servers that ask for one.
    compression: true or false. Default: True.
        Whether to ask for compressed bodies, and decompress them.
    unix_socket: path, or None. Default: None.
        The Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then.
    local_address: IP address. Default: None.
        The address to connect from; a server's addresses of the other family are passed over.
    interface: name, or None. Default: None.
        The network interface to connect from, such as 'eth0' (Linux and Android).
    pool_idle_timeout: seconds or a timedelta, or None. Default: 4.
        How long an unused connection is kept.
    pool_max_idle_per_host: 0..=100000. Default: 1000.
        How many unused connections are kept per origin.
    max_connections: 1..=100000. Default: 512.
        The most connections that are open at once, unused ones included. Calls beyond wait in order: no attempt's time, only 'timeout' goes on.
    max_connections_per_origin: 1..=100000. Default: 256.
        Likewise, to one origin.
    cookies: true, false, or map of names and values. Default: True.
        Whether cookies that servers set are kept and sent back; a map is what to begin with.
    budget_dir: absolute path. Default: REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID.
        Where budgets with 'share: host' are: a directory that is this user's alone.
    share_required: true or false. Default: False.
        Whether a budget with 'share: host' that cannot be shared is an error; else it is the process's alone.
    envoy_headers: true or false. Default: False.
        Whether 'x-envoy-retry-on' and its kin on a request change its policy, as in Envoy.
    """

    def request(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a request and reads the whole response. Raises an `HTTPError` if there is none; any status is a response.

        Keywords, of all methods that send:

        params: a dict, pairs or text, appended to the URL's query.
        headers: a dict or pairs, in place of the client's of the same name; None leaves one out.
        content: bytes, text, a file, an iterable (sent once), or a function that makes one for each attempt.
        json, data, files: a JSON value; a form; the files of a multipart body.
        auth: user name and password, or a function of the request such as `BearerAuth(token)`. None turns the client's off.
        timeout: seconds or a timedelta, or None. Limit of the whole call.
        policy: a `Policy` replaces the client's, a dict is merged over it, False turns retries off.
        follow_redirects: whether redirects are followed.
        name: what the call is named in events, failures and telemetry, such as "orders.get". Never sent.
        nesting: "stop" or "allow", as of the client.
        retry_if, delay, before_retry, on_event, with_body: as of the client, in place of its own of the same name.
        """
        call, watched = prepared(self._native, method, url, options)
        return finish(call.send(wanted()), watched)  # type: ignore[no-any-return]

    def get(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a GET request. Keywords as of `request`."""
        return self.request("GET", url, **options)

    def options(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends an OPTIONS request. Keywords as of `request`."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a HEAD request. Keywords as of `request`."""
        return self.request("HEAD", url, **options)

    def post(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a POST request. Keywords as of `request`."""
        return self.request("POST", url, **options)

    def put(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PUT request. Keywords as of `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PATCH request. Keywords as of `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a DELETE request. Keywords as of `request`."""
        return self.request("DELETE", url, **options)

    @contextmanager
    def stream(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Iterator[StreamingResponse]:
        """Sends a request and hands out the response once its head is there; its connection is closed with the block.

        If the head comes before the end of a body that is produced, the rest is produced while the response is read.
        """
        call, watched = prepared(self._native, method, url, options)
        response = StreamingResponse(finish(call.stream(wanted()), watched))
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
    """Sends requests under a policy, in asyncio and trio. May be shared between event loops and threads.

        async with reknock.AsyncClient(base_url="http://127.0.0.1:8080", timeout=10, policy={"max_retries": 3}) as client:
            orders = (await client.get("/orders")).raise_for_status().json()

    Keywords, all optional:

    policy: a `Policy`, a dict over the default one, or False for no retries. Default: reknock.Policy(). Its help lists the keys.
    timeout: seconds or a timedelta, or None. Default: 60.
        Limit of a whole call: attempts, waits, callbacks, reading the body.
    retry_if, delay, before_retry, on_event: functions, all but on_event also coroutine functions. Default: None.
        Asked whether to retry, for the wait, to edit the next attempt's request; told of retries, redirects, notices and ends.
    with_body: true or false. Default: False.
        Lets retry_if and delay of buffered calls see the body.
    budgets: a `Budgets`. Default: the client's own.
        Retry budgets to share with other clients, adapters and functions.
    nesting: "stop" or "allow". Default: "stop".
        Within an attempt of an adapter or of a function that is retried, "stop" sends once; "allow" retries there too, which multiplies.
    transport: a `reknock.testing.Script`. Default: the network.
        What answers in place of servers.
    base_url: URL. Default: None.
        What relative URLs are appended to.
    headers: map, or list of pairs. Default: None.
        Header fields of all requests that do not bring them themselves.
    auth: user name and password, or a function of the request such as 'BearerAuth(token)'. Default: None.
        Basic credentials of all requests.
    follow_redirects: true or false. Default: True.
        Whether redirects are followed. One whose 'Location' leads nowhere (empty, '#top', 'data:') is the answer itself.
    max_redirects: 0..=1000. Default: 20.
        The most redirects that are followed in one call.
    max_response_size: bytes, or None. Default: None.
        The largest response body, decompressed, that is read into memory.
    http2: 'auto', 'only', None, true or false. Default: "auto".
        Which HTTP versions to speak.
    http2_ping: seconds or a timedelta, or None. Default: 5.
        How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life. After as long again the connection is lost.
    proxy: URL, or None. Default: what the environment says.
        The proxy for everything (http, https, socks5 or socks5h); none also ignores the environment's.
    verify: true or false, PEM text, or a path. Default: True.
        Whether the server's certificate is checked; or the root certificates to trust alone.
    ca_bundle: PEM text, or a path. Default: None.
        Root certificates to trust besides the system's.
    cert: PEM text or a path, or a list of certificate and key. Default: None.
        The certificate to show to servers that ask for one.
    compression: true or false. Default: True.
        Whether to ask for compressed bodies, and decompress them.
    unix_socket: path, or None. Default: None.
        The Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then.
    local_address: IP address. Default: None.
        The address to connect from; a server's addresses of the other family are passed over.
    interface: name, or None. Default: None.
        The network interface to connect from, such as 'eth0' (Linux and Android).
    pool_idle_timeout: seconds or a timedelta, or None. Default: 4.
        How long an unused connection is kept.
    pool_max_idle_per_host: 0..=100000. Default: 1000.
        How many unused connections are kept per origin.
    max_connections: 1..=100000. Default: 512.
        The most connections that are open at once, unused ones included. Calls beyond wait in order: no attempt's time, only 'timeout' goes on.
    max_connections_per_origin: 1..=100000. Default: 256.
        Likewise, to one origin.
    cookies: true, false, or map of names and values. Default: True.
        Whether cookies that servers set are kept and sent back; a map is what to begin with.
    budget_dir: absolute path. Default: REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID.
        Where budgets with 'share: host' are: a directory that is this user's alone.
    share_required: true or false. Default: False.
        Whether a budget with 'share: host' that cannot be shared is an error; else it is the process's alone.
    envoy_headers: true or false. Default: False.
        Whether 'x-envoy-retry-on' and its kin on a request change its policy, as in Envoy.
    """

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        super().__init__(**options)
        # Not at the top: asyncio takes longer to import than all of reknock. Not in each call: that takes a microsecond.
        from . import _loop

        self._bridge, self._finish, self._upload = _loop.bridge, _loop.finish, _loop.upload

    async def request(self, method: str, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a request and reads the whole response. Raises an `HTTPError` if there is none; any status is a response.

        Keywords, of all methods that send:

        params: a dict, pairs or text, appended to the URL's query.
        headers: a dict or pairs, in place of the client's of the same name; None leaves one out.
        content: bytes, text, a file, an iterable (sent once), or a function that makes one for each attempt.
        json, data, files: a JSON value; a form; the files of a multipart body.
        auth: user name and password, or a function of the request such as `BearerAuth(token)`. None turns the client's off.
        timeout: seconds or a timedelta, or None. Limit of the whole call.
        policy: a `Policy` replaces the client's, a dict is merged over it, False turns retries off.
        follow_redirects: whether redirects are followed.
        name: what the call is named in events, failures and telemetry, such as "orders.get". Never sent.
        nesting: "stop" or "allow", as of the client.
        retry_if, delay, before_retry, on_event, with_body: as of the client, in place of its own of the same name.
        """
        own = self._bridge()
        call, watched = prepared(self._native, method, url, options)
        number, first = own.send(call, wanted(), False)
        response: Response = await self._finish(own, number, first, watched)
        return response

    async def get(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a GET request. Keywords as of `request`."""
        return await self.request("GET", url, **options)

    async def options(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends an OPTIONS request. Keywords as of `request`."""
        return await self.request("OPTIONS", url, **options)

    async def head(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a HEAD request. Keywords as of `request`."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a POST request. Keywords as of `request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PUT request. Keywords as of `request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a PATCH request. Keywords as of `request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: URL, **options: Unpack[CallOptions]) -> Response:
        """Sends a DELETE request. Keywords as of `request`."""
        return await self.request("DELETE", url, **options)

    @asynccontextmanager
    async def stream(self, method: str, url: URL, **options: Unpack[CallOptions]) -> AsyncIterator[AsyncStreamingResponse]:
        """Sends a request and hands out the response once its head is there; its connection is closed with the block.

        A body that is produced goes on until the block is left: an asynchronous producer has a task of its own.
        """
        own = self._bridge()
        call, watched = prepared(self._native, method, url, options)
        number, first = own.send(call, wanted(), True)
        upload = self._upload(own, number)
        try:
            response = AsyncStreamingResponse(await self._finish(own, number, first, watched))
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
