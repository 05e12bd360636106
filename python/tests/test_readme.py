"""The Python in the READMEs, as it stands there, against the scripted server."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from reknock.testing import Script as Scripted
from reknock.testing import Step

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


def test_readme_of_the_package(serve: Callable[..., Script]) -> None:
    *blocks, other_client = (ROOT / "python/README.md").read_text().split("```python\n")[1:]
    scope: dict[str, Any] = {}
    for block in blocks:
        code = compile(block.split("```")[0], "python/README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with Scripted([Step(200, json=[])]) as script:
            result = eval(code, scope)
            if iscoroutine(result):
                asyncio.run(result)
    assert len(blocks) == 2 and len(scope["script"].waits) == 2 and not script.sends
    server = serve(status(503), status(200))
    assert "127.0.0.1:8080" in other_client
    exec(other_client.split("```")[0].replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"), scope)
    assert scope["decision"].stop_reason == "completed" and len(server.log()) == 2
    scope["connection"].close()


def test_the_page_on_other_systems(monkeypatch: Any, capsys: Any) -> None:
    folder = ROOT / "docs/dialects"
    [block] = (folder / "README.md").read_text().split("```python\n")[1:]
    monkeypatch.chdir(folder / "examples")
    scope: dict[str, Any] = {}
    exec(compile(block.split("```")[0], "docs/dialects/README.md", "exec"), scope)
    assert "per_try_timeout: 5s" in capsys.readouterr().out and scope["client"].policy == scope["policy"]
