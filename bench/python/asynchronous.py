"""The asynchronous clients of Python. Each opener takes an exit stack and the task, and returns what makes a call: await call() -> (status, body).

The rule is the same for all: a 503 is retried at once, up to `task.retries` times; connections are kept, one per call in flight.
"""


async def reknock(stack, task):
    import reknock

    policy = reknock.Policy(max_retries=task.retries, statuses=[503], backoff=False)
    client = await stack.enter_async_context(reknock.AsyncClient(policy=policy))

    async def call():
        response = await client.get(task.url)
        return response.status_code, response.content

    return call


async def httpx(stack, task):
    import httpx
    from httpx_retries import Retry, RetryTransport

    limits = httpx.Limits(max_connections=task.in_flight, max_keepalive_connections=task.in_flight)
    retry = Retry(total=task.retries, status_forcelist=[503])
    transport = RetryTransport(transport=httpx.AsyncHTTPTransport(limits=limits), retry=retry)
    client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, timeout=60))

    async def call():
        response = await client.get(task.url)
        return response.status_code, response.content

    return call


async def aiohttp(stack, task):
    import aiohttp
    from aiohttp_retry import ExponentialRetry, RetryClient

    # The option counts sends.
    options = ExponentialRetry(attempts=task.retries + 1, start_timeout=0, statuses={503}, retry_all_server_errors=False)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=task.in_flight))
    client = await stack.enter_async_context(RetryClient(client_session=session, retry_options=options))

    async def call():
        async with client.get(task.url) as response:
            return response.status, await response.read()

    return call


async def pyreqwest(stack, task):
    from pyreqwest.client import ClientBuilder

    client = await stack.enter_async_context(ClientBuilder().build())

    async def send():
        response = await client.get(task.url).build().send()
        return response.status, await response.bytes()

    return lambda: repeat(send, task.retries)


async def primp(stack, task):
    import primp

    client = primp.AsyncClient()

    async def send():
        response = await client.get(task.url)
        return response.status_code, response.content

    return lambda: repeat(send, task.retries)


async def repeat(send, retries):
    """The rule for clients that have no retries of their own."""
    for _ in range(retries):
        status, body = await send()
        if status != 503:
            return status, body
    return await send()


# name: (what is imported, opener)
PEERS = {
    "reknock": (["reknock"], reknock),
    "httpx": (["httpx", "httpx_retries"], httpx),
    "aiohttp": (["aiohttp", "aiohttp_retry"], aiohttp),
    "pyreqwest": (["pyreqwest.client"], pyreqwest),
    "primp": (["primp"], primp),
}
