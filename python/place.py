"""python place.py BUILT: puts the module that cargo built beside its package; in a virtual environment it also installs the package, in place.

For development: a package for users is built by maturin, which compiles everything once more, in release.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = {"darwin": ("lib_native.dylib", "_native.abi3.so"), "win32": ("_native.dll", "_native.pyd")}


def place(built: Path) -> None:
    """Copies the module in one step: a process that has the old one loaded keeps it."""
    source, name = NAMES.get(sys.platform, ("lib_native.so", "_native.abi3.so"))
    new = HERE / "reknock" / f"{name}.new"
    shutil.copy(built / source, new)
    os.replace(new, new.with_suffix(""))


def install() -> None:
    """Tells this environment of the folder and of the package's entry points, as an editable install does."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    workspace = tomllib.loads((HERE.parent / "Cargo.toml").read_text())["workspace"]["package"]
    site, info = Path(sysconfig.get_path("purelib")), f"{project['name']}-{workspace['version']}.dist-info"
    groups = [f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in points.items()) for group, points in project["entry-points"].items()]
    files = {
        f"{project['name']}.pth": f"{HERE}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {workspace['version']}\n",
        f"{info}/entry_points.txt": "\n".join(groups),
        f"{info}/INSTALLER": "place.py\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    for name, where in project["scripts"].items():
        module, _, function = where.partition(":")
        script = Path(sysconfig.get_path("scripts")) / name
        # As pip has it: the line of an interpreter may be neither long nor have spaces.
        script.write_text(f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\nfrom {module} import {function}\n\n{function}()\n")
        script.chmod(0o755)
    for old in site.glob(f"{project['name']}-*.dist-info"):
        shutil.rmtree(old)
    (site / info).mkdir()
    for name, text in files.items():
        (site / name).write_text(text)


if __name__ == "__main__":
    place(Path(sys.argv[1]))
    if sys.prefix != sys.base_prefix:
        install()
