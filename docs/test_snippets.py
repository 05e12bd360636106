"""Every piece of code in README.md, the packages' READMEs and docs/, as it stands there: run, against the scripted server. And every link to a file.

What stands before a piece, in a comment that no reader sees, says how it is run:

    <!-- server: [503, "reset", 200] -->     what answers at 127.0.0.1:8080: statuses, names of outcomes, whole outcomes (tests/server/README.md)
    <!-- as: policy.yaml -->                 its name, for the pieces after it on the page
    <!-- not run: why -->

Without a server each request is answered 200 and `[]`. What follows `#` or `//` on a line that prints is what it prints; `...` stands for anything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
from tests.conftest import Script, ask, control  # noqa: E402  (the fixture, and those who talk to the server)

__all__ = ["control"]
BUILT = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
ADDRESS = "127.0.0.1:8080"
PAGES = [ROOT / "README.md", ROOT / "core/README.md", ROOT / "python/README.md", ROOT / "node/README.md", ROOT / "node/ADAPTERS.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"((?:<!-- [^\n]* -->\n)*)^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)
PRINTS = re.compile(r"\b(?:print|console\.log|printf|println!)\(.*?\)?;?\s+(?:#|//) (.+)$", re.M)
# Of the pages about other systems, whose documents the tests of their readers read.
DOCUMENTS = {"yaml", "json", "toml"}


@dataclass
class Piece:
    """A piece of code on a page."""

    page: Path
    line: int
    language: str
    code: str
    notes: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def server(self) -> list[Any]:
        """What answers."""
        names = {"reset": {"do": "reset"}, "hang": {"do": "hang"}, "echo": {"do": "echo"}}

        def outcome(step: Any) -> Any:
            return {"do": "status", "status": step, "body": "[]"} if isinstance(step, int) else names[step] if isinstance(step, str) else step

        return [outcome(step) for step in json.loads(self.notes.get("server", "[200]"))]


def pieces() -> Iterator[Piece]:
    """All that is run."""
    for page in PAGES:
        # Those about SDKs need keys and servers that speak like theirs: python/tests/test_sdk_pages.py runs them.
        if ".venv" in page.parts or "sdk" in page.parts:
            continue
        text, files = page.read_text(), dict[str, str]()
        for match in FENCE.finditer(text):
            notes = dict(re.findall(r"<!-- ([a-z ]+?)(?:: (.*?))? -->", match[1]))
            if "as" in notes:
                files[notes["as"]] = match[3]
            line = text.count("\n", 0, match.start(2)) + 1
            if match[2] in RUN and "not run" not in notes:
                yield Piece(page, line, match[2], match[3], notes, dict(files))


@pytest.fixture
def served(control: str) -> Iterator[Any]:
    """Makes a server for a piece, and puts its address in place of the one on the page."""
    scripts: list[Script] = []

    def serve(piece: Piece) -> str:
        made = ask(control, "POST", "/scripts", {"script": piece.server})
        scripts.append(Script(control, made["id"], made["url"], made["port"], None))
        return piece.code.replace(ADDRESS, f"127.0.0.1:{made['port']}")

    yield serve
    for script in scripts:
        ask(control, "DELETE", f"/scripts/{script.id}")


def python(code: str, folder: Path) -> list[str]:
    name = "test_piece.py" if "\ndef test_" in f"\n{code}" else "piece.py"
    (folder / name).write_text(code)
    return [sys.executable, "-m", "pytest", "-q", name] if name.startswith("test_") else [sys.executable, name]


def js(code: str, folder: Path) -> list[str]:
    name = "piece.cjs" if "require('reknock" in code else "piece.mjs"
    (folder / name).write_text(code)
    (folder / "node_modules").mkdir()
    # Beside it what pages use besides.
    for package in ("@opentelemetry", "pino"):
        (folder / "node_modules" / package).symlink_to(ROOT / "node/node_modules" / package)
    (folder / "node_modules/reknock").symlink_to(ROOT / "node")
    return ["node", name]


def ts(code: str, folder: Path) -> list[str]:
    js("", folder)
    (folder / "node_modules/@types").symlink_to(ROOT / "node/node_modules/@types")
    (folder / "piece.mts").write_text(code)
    compiler = ROOT / "node/node_modules/typescript/bin/tsc"
    return ["node", str(compiler), "--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "piece.mts"]


def c(code: str, folder: Path) -> list[str]:
    (folder / "piece.c").write_text(code)
    build = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "include"), "piece.c", "-o", "piece", "-L", str(BUILT), "-lreknock"]
    build += ["-lcurl"] if "<reknock_curl.h>" in code else []
    subprocess.run(build, cwd=folder, check=True)
    # The name in the library, under which programs look for it.
    (folder / "libreknock.so.0").symlink_to(BUILT / "libreknock.so")
    return ["env", "LD_LIBRARY_PATH=.", "./piece"]


def rust(code: str, folder: Path) -> list[str]:
    (folder / "piece.rs").write_text(code)
    found = [f"--extern={name}={path}" for name, path in crates().items()]
    build = ["rustc", "--edition=2024", "piece.rs", "-o", "piece", "-Cdebuginfo=0", "-L", f"dependency={BUILT / 'deps'}", *found]
    subprocess.run(build, cwd=folder, check=True)
    return ["./piece"]


# As the Makefile builds them: others would have everything compiled once more.
FEATURES = re.search(r"^FEATURES = --features (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@cache
def crates() -> dict[str, str]:
    """What pieces in Rust use, as cargo built it for everything else."""
    command = ["cargo", "build", "--locked", "--quiet", "--lib", "-p", "reknock", "-p", "reknock-test-server", "--features", FEATURES, "--message-format=json"]
    said = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    artifacts = [json.loads(line) for line in said.splitlines() if '"compiler-artifact"' in line]
    libraries = {artifact["target"]["name"]: artifact["filenames"][0] for artifact in artifacts if artifact["target"]["kind"] == ["lib"]}
    return {name: libraries[name] for name in ("bytes", "http", "http_body_util", "hyper_util", "reknock", "tokio", "tower")}


def sh(code: str, folder: Path) -> list[str]:
    """The command lines of reknock; those of others are for the reader."""
    ours = [line.strip().replace("python -m reknock", f"'{sys.executable}' -m reknock") for line in code.splitlines() if "-m reknock" in line]
    return ["bash", "-euc", "\n".join(ours)]


def yaml(code: str, folder: Path) -> list[str]:
    """A policy."""
    (folder / "policy.yaml").write_text(code)
    return [sys.executable, "-m", "reknock", "explain", "policy.yaml"]


RUN = {"python": python, "js": js, "ts": ts, "c": c, "rust": rust, "sh": sh, "yaml": yaml}


def prints(code: str) -> list[str]:
    return [line.strip() for line in PRINTS.findall(code)]


def compare(piece: Piece, said: str) -> None:
    """What is printed is what the page says, in its order."""
    rest = said
    for line in prints(piece.code):
        pattern = ".*?".join(re.escape(part) for part in line.split("..."))
        found = re.search(rf"^{pattern}\s*$", rest, re.M)
        assert found, f"{piece}: prints no line {line!r} any more, but\n{textwrap.indent(said, '    ')}"
        rest = rest[found.end():]


@pytest.mark.parametrize("piece", [p for p in pieces() if not (p.language == "yaml" and "dialects" in p.page.parts)], ids=str)
def test_piece(piece: Piece, served: Any, tmp_path: Path) -> None:
    if piece.language in ("js", "ts") and not (ROOT / "node/node_modules").is_dir():
        pytest.skip("there is no Node 20 or later with npm")
    for example in (ROOT / "docs/dialects/examples").iterdir() if "dialects" in piece.page.parts else ():
        shutil.copy(example, tmp_path)
    for name, text in piece.files.items():
        (tmp_path / name).write_text(text)
    command = RUN[piece.language](served(piece), tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    assert done.returncode == 0, f"{piece}: {done.stdout}"
    compare(piece, done.stdout)


LINK = re.compile(r"\]\(((?!https?:|#|mailto:)[^)\s#]+)(?:#[^)]*)?\)")
READ = sorted({*PAGES, *ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("tests/*/README.md")})


@pytest.mark.parametrize("page", [page for page in READ if ".venv" not in page.parts], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files that pages link to are there, also from pages that are not of the site, which checks its own anchors."""
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing, f"{page.relative_to(ROOT)}: {missing}"
