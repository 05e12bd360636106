"""What uvicorn and hypercorn serve. Each request is in the log (the environment's LOG) before it is answered."""

import asyncio
import os
import random

LOG = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    early = scope["path"] == "/early"
    if b"id=" in scope["query_string"]:
        os.write(LOG, b"?" + scope["query_string"] + b"\n")
    more = not early
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    if not early:
        await asyncio.sleep(random.random() * 0.003)
    body = b"x" * 2_000_000 if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 413 if early else 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
