"""The blocking clients of Python. Each opener takes an exit stack and the task, and returns one callable per worker: () -> (status, body).

The rule is the same for all: a 503 is retried at once, up to `task.retries` times; connections are kept, one per worker.
"""


def reknock(stack, task):
    import reknock

    policy = reknock.Policy(max_retries=task.retries, statuses=[503], backoff=False)
    client = stack.enter_context(reknock.Client(policy=policy))

    def call():
        response = client.get(task.url)
        return response.status_code, response.content

    return [call] * task.in_flight


def urllib3(stack, task):
    import urllib3

    retry = urllib3.Retry(total=task.retries, status_forcelist=[503], backoff_factor=0)
    pool = stack.enter_context(urllib3.PoolManager(maxsize=task.in_flight, retries=retry))

    def call():
        response = pool.request("GET", task.url)
        return response.status, response.data

    return [call] * task.in_flight


def requests(stack, task):
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    retry = Retry(total=task.retries, status_forcelist=[503], backoff_factor=0)
    session = stack.enter_context(requests.Session())
    session.mount("http://", HTTPAdapter(max_retries=retry, pool_maxsize=task.in_flight))

    def call():
        response = session.get(task.url)
        return response.status_code, response.content

    return [call] * task.in_flight


def httpx(stack, task):
    import httpx
    from httpx_retries import Retry, RetryTransport

    limits = httpx.Limits(max_connections=task.in_flight, max_keepalive_connections=task.in_flight)
    transport = RetryTransport(transport=httpx.HTTPTransport(limits=limits), retry=Retry(total=task.retries, status_forcelist=[503]))
    client = stack.enter_context(httpx.Client(transport=transport, timeout=60))

    def call():
        response = client.get(task.url)
        return response.status_code, response.content

    return [call] * task.in_flight


def pycurl(stack, task):
    from io import BytesIO

    import pycurl

    def worker():
        handle = pycurl.Curl()
        stack.callback(handle.close)
        handle.setopt(pycurl.URL, task.url)
        handle.setopt(pycurl.NOSIGNAL, 1)  # without it libcurl is not safe in threads

        def send():
            body = BytesIO()
            handle.setopt(pycurl.WRITEDATA, body)
            handle.perform()
            return handle.getinfo(pycurl.RESPONSE_CODE), body.getvalue()

        return lambda: repeat(send, task.retries)

    return [worker() for _ in range(task.in_flight)]


def pyreqwest(stack, task):
    from pyreqwest.client import SyncClientBuilder

    client = stack.enter_context(SyncClientBuilder().build())

    def send():
        response = client.get(task.url).build().send()
        return response.status, response.bytes()

    return [lambda: repeat(send, task.retries)] * task.in_flight


def primp(stack, task):
    import primp

    client = primp.Client()

    def send():
        response = client.get(task.url)
        return response.status_code, response.content

    return [lambda: repeat(send, task.retries)] * task.in_flight


def repeat(send, retries):
    """The rule for clients that have no retries of their own."""
    for _ in range(retries):
        status, body = send()
        if status != 503:
            return status, body
    return send()


# name: (what is imported, opener)
PEERS = {
    "reknock": (["reknock"], reknock),
    "urllib3": (["urllib3"], urllib3),
    "requests": (["requests"], requests),
    "httpx": (["httpx", "httpx_retries"], httpx),
    "pycurl": (["pycurl"], pycurl),
    "pyreqwest": (["pyreqwest.client"], pyreqwest),
    "primp": (["primp"], primp),
}
