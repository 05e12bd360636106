"""Versions and installed sizes, dependencies included, from what is installed beside us."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

from .plan import BENCH, Peer, Surface


def version(surface: Surface, peer: Peer) -> str:
    """The versions of a peer's packages, or what the language brings along."""
    if not peer.packages:
        return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
    lookup = {"python": _python_version, "node": _node_version}.get(surface.language, _cargo_version)
    return " + ".join(lookup(package) for package in peer.packages)


def installed_mib(surface: Surface, peer: Peer, built: Path) -> float:
    """What installing a peer adds, in MiB. Of Rust: the stripped program. Of C: the stripped shared library, or a program with libcurl in it."""
    if surface.language == "python":
        return sum(_python_bytes(name) for name in _python_closure(peer.packages)) / 2**20
    if surface.language == "node":
        return sum(_folder_bytes(BENCH / "node/node_modules" / name) for name in _node_closure(peer.packages)) / 2**20
    program = built / "libreknock.so" if surface.language == "c" and peer.ours else Path(peer.command[0])
    return _stripped_bytes(program) / 2**20


def _python_version(package: str) -> str:
    return metadata.version(package)


def _python_closure(packages: list[str]) -> set[str]:
    """Packages and what they need, optional extras left out."""
    seen: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # needed on another system or version only
        if name not in seen:
            seen.add(name)
            waiting += [re.match(r"[\w.-]+", need)[0] for need in needs if "extra ==" not in need]
    return seen


def _python_bytes(package: str) -> int:
    files = metadata.files(package) or []
    return sum(Path(file.locate()).stat().st_size for file in files if file.suffix != ".pyc" and Path(file.locate()).exists())


def _node_version(package: str) -> str:
    return json.loads((BENCH / "node/node_modules" / package / "package.json").read_text())["version"]


def _node_closure(packages: list[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        manifest = BENCH / "node/node_modules" / name / "package.json"
        if name not in seen and manifest.exists():
            seen.add(name)
            waiting += json.loads(manifest.read_text()).get("dependencies", {})
    return seen


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _cargo_version(package: str) -> str:
    locked = tomllib.loads((BENCH / "Cargo.lock").read_text())["package"]
    found = next(entry["version"] for entry in locked if entry["name"] == package)
    return found.partition("+curl-")[2] or found


def _stripped_bytes(program: Path) -> int:
    copy = program.with_name(program.name + ".stripped")
    try:
        subprocess.run(["strip", "-o", copy, program], check=True, capture_output=True)
        return copy.stat().st_size
    except (FileNotFoundError, subprocess.CalledProcessError):
        return program.stat().st_size
    finally:
        copy.unlink(missing_ok=True)
