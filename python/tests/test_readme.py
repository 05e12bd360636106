"""The Python in the READMEs, as it stands there, against the scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .conftest import ROOT, Script, status


def test_readme(serve: Callable[..., Script]) -> None:
    script = serve(status(503), status(200), status(404), status(201))
    text = (ROOT / "README.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    assert "http://127.0.0.1:8080" in block
    scope: dict[str, Any] = {}
    exec(compile(block.replace("http://127.0.0.1:8080", script.url.rstrip("/")), "README.md", "exec"), scope)
    assert [(a["method"], a["did"]) for a in script.log()] == [("GET", "status 503"), ("GET", "status 200")]
    asyncio.run(scope["later"]())
    assert [(a["method"], a["target"]) for a in script.log()][2:] == [("POST", "/orders")]
