"""The site: sphinx-build -W docs target/site (make docs). Pages are markdown and read well where they are, too."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

project = "reknock"
author = "the authors of reknock"
copyright = "the authors of reknock; Apache-2.0 or MIT"
version = release = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = [".venv", "examples", "dialects/examples", "requirements.txt"]
html_theme = "furo"
html_title = "reknock"
html_static_path = ["_static"]
html_extra_path = ["examples"]
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": True, "inherited-members": "Exception"}
# Types of annotations are not pages of ours.
nitpicky = False

# Links from pages to files outside of the site: what they are is said in place of a link that would lead nowhere.
OUTSIDE = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]*)(#[^)]*)?\)")


def read(app, name, source):
    """Makes of a page what the site shows: links out of docs/ as text, after a look whether the file is there."""
    folder = (ROOT / "docs" / name).parent

    def outside(link):
        target = (folder / link[2]).resolve()
        if not target.exists():
            raise ValueError(f"{name}: {link[2]} is not there")
        if target.suffix == ".html":
            return f'<a href="{"../" * name.count("/")}{target.name}">{link[1]}</a>'
        return link[0] if ROOT / "docs" in target.parents else f"{link[1]} (`{target.relative_to(ROOT)}` in the repository)"

    # Its language has no lexer.
    source[0] = OUTSIDE.sub(outside, source[0]).replace("```ballerina", "```text")


def docstring(app, what, name, thing, options, lines):
    """Docstrings are written for help(): `name: what it is` is an item, what is indented below a paragraph is code."""
    out, item, code = [], False, False
    for line in lines:
        line = line if line.startswith("    ") and not item else line.replace("*", r"\*")
        named = re.match(r"([a-z_][a-z0-9_, ]*): (.+)", line)
        if named:
            out += [] if item else [""]
            out.append(f"- ``{named[1]}``: {named[2]}")
        elif item and line.startswith("    "):
            out.append(f"  {line.strip()}")
            continue
        elif line.startswith("    ") and not code:
            out += ["", "::", ""] + [line]
        else:
            out += [""] * (item or (code and bool(line) and not line.startswith(" "))) + [line]
        item = bool(named)
        code = line.startswith("    ") or (code and not line)
    lines[:] = out


def setup(app):
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", docstring)
