"""The page that compares policies, as a browser draws it: docs/examples/storm.html in light and in dark."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageColor

PAGE = Path(__file__).parents[2] / "docs/examples/storm.html"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTH, HEIGHT = 1000, 1400
LINES = ["#0072b2", "#d55e00", "#cc79a7", "#b8860b", "#56b4e9"]
"""The colours of the policies' lines, but for the one that another covers."""


def screenshot(folder: Path, scheme: int) -> dict[tuple[int, int, int], int]:
    """How often each colour is in the page's beginning. `scheme`: 0 is dark, 1 light."""
    out = folder / f"{scheme}.png"
    command = [
        str(BROWSER), "--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={out}", PAGE.as_uri(),
    ]
    if os.geteuid() == 0:  # whom its sandbox refuses
        command.insert(1, "--no-sandbox")
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert drawn.returncode == 0 and out.exists(), drawn.stderr
    with Image.open(out) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        return {colour: count for count, colour in picture.convert("RGB").getcolors(WIDTH * HEIGHT) or []}


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium to look at the page with")
def test_the_page_has_its_pictures_in_light_and_in_dark(tmp_path):
    for scheme, ground, ink in ((1, "#ffffff", "#1b1f24"), (0, "#14171a", "#e6e8ea")):
        seen = screenshot(tmp_path, scheme)
        of = lambda colour: seen.get(ImageColor.getrgb(colour), 0)
        assert 0.5 < of(ground) / (WIDTH * HEIGHT) < 0.97, "the page is empty, or something covers it"
        assert of(ink) > 1000, "there is no text"
        missing = [colour for colour in LINES if of(colour) < 200]
        assert not missing, f"no lines in {missing}"
