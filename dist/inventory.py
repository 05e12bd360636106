"""What a package is made of: THIRD-PARTY.md, the licences of everything that is compiled into it, and sbom.cdx.json, a list by CycloneDX 1.6.

    inventory.py folder CRATE FOLDER    writes both into a folder
    inventory.py wheel CRATE WHEEL      puts the licences into a wheel, which has a list of maturin's
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Whose data stands in our own sources.
COPIED = {"psl"}
TEXTS = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-._].*)?", re.I)


def compiled_in(crate: str) -> list[dict[str, Any]]:
    """The crates that are linked into one of ours for CARGO_BUILD_TARGET or this machine, those of other people: no build scripts' and no tests'."""
    host = re.search(r"^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.M)
    target = os.environ.get("CARGO_BUILD_TARGET") or (host and host[1])
    assert target
    features = ["--features", "reknock-python/jemalloc"] if crate == "reknock-python" else []
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target, *features]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found: set[str] = set()
    left = [id for id, package in packages.items() if package["name"] == crate]
    while left:
        id = left.pop()
        if id in found:
            continue
        found.add(id)
        # Procedural macros run while compiling and leave nothing of theirs.
        left += [
            dependency["pkg"]
            for dependency in nodes[id]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            and not any("proc-macro" in target["kind"] for target in packages[dependency["pkg"]]["targets"])
        ]
    found.update(id for id, package in packages.items() if package["name"] in COPIED)
    return sorted((packages[id] for id in found if packages[id]["source"]), key=lambda package: (package["name"], package["version"]))


def texts(package: dict[str, Any]) -> list[str]:
    """The licences that lie in the package, and in the folders of other languages' sources within it."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(file for file in [*folder.iterdir(), *folder.glob("*/*")] if file.is_file() and TEXTS.fullmatch(file.name))
    return [file.read_text(errors="replace").strip() for file in files]


def third_party(crate: str) -> str:
    """Every licence once, with those who use it; what brings no text is named with its expression."""
    users: dict[str, list[str]] = {}
    lines = ["# What is compiled in, and its licences", ""]
    for package in compiled_in(crate):
        name = f"{package['name']} {package['version']}"
        lines.append(f"- {name}: {package['license'] or 'see its text below'}")
        for text in texts(package):
            users.setdefault(text, []).append(name)
    for text, names in users.items():
        lines += ["", f"## {', '.join(names)}", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def sbom(crate: str) -> str:
    """The list of components."""
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert version
    components = [
        {
            "type": "library",
            "name": package["name"],
            "version": package["version"],
            "purl": f"pkg:cargo/{package['name']}@{package['version']}",
            **({"licenses": [{"expression": package["license"].replace("/", " OR ")}]} if package["license"] else {}),
        }
        for package in compiled_in(crate)
    ]
    about = {"component": {"type": "library", "name": crate, "version": version[1]}}
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": about, "components": components}, indent=1) + "\n"


def into_wheel(wheel: Path, files: dict[str, str]) -> None:
    """Adds files to a wheel, and to its record."""
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        kept = {info: archive.read(info) for info in archive.infolist()}
    added = {f"{record.removesuffix('RECORD')}licenses/{name}": text.encode() for name, text in files.items()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for info, data in kept.items():
            if info.filename == record:
                for name, content in added.items():
                    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                    data = f"{name},sha256={digest},{len(content)}\n".encode() + data
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=9)
        for name, content in added.items():
            archive.writestr(name, content)


def main(what: str, crate: str, place: str) -> None:
    if what == "wheel":
        ours = {name: (ROOT / name).read_text() for name in ("LICENSE-APACHE", "LICENSE-MIT")}
        into_wheel(Path(place), {**ours, "THIRD-PARTY.md": third_party(crate)})
    else:
        (Path(place) / "THIRD-PARTY.md").write_text(third_party(crate))
        (Path(place) / "sbom.cdx.json").write_text(sbom(crate))


if __name__ == "__main__":
    main(*sys.argv[1:])
