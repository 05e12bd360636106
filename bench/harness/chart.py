"""The results as a picture: per surface a panel of bars, each as long as the client's time in times of reknock's."""

from __future__ import annotations

import logging
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from .plan import surfaces
from .report import is_busy, is_once, rounds_text
from .stats import Spread, ratio

matplotlib.rcParams |= {
    "svg.fonttype": "none",  # text stays text: small, sharp, searchable
    "svg.hashsalt": "reknock",  # the same results give the same file
    "font.family": ["system-ui", "Helvetica", "Arial", "sans-serif"],
    "font.size": 9,
}
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # the viewer picks the font

OURS, THEIRS, INK, FAINT = "#0b6e4f", "#b9c4cf", "#1c2733", "#7b8794"
COLUMNS = [("small-1", "1 call in flight"), ("small-32", "32 calls in flight")]
WIDEST = 8.0  # a longer bar is cut, and its label says how long it is


def write_chart(results: dict, path: Path) -> None:
    times = {(c["surface"], c["scenario"], c["peer"]): Spread.of([r["us"] for r in c["rounds"]]) for c in results["cells"] if c["rounds"]}
    shown = [s for s in surfaces(Path()) if (s.key, "small-32", s.peers[0].name) in times]
    if not shown:
        return
    heights = [len(surface.peers) + 1.15 for surface in shown]
    figure = Figure(figsize=(10, sum(heights) * 0.25 + 0.9))
    axes = figure.subplots(len(shown), 2, squeeze=False, gridspec_kw={"height_ratios": heights, "hspace": 0.12, "wspace": 0.06})
    for row, surface in enumerate(shown):
        for column, (scenario, _) in enumerate(COLUMNS):
            _panel(axes[row][column], surface, scenario, times, names=column == 0)
    for column, (_, title) in enumerate(COLUMNS):
        axes[0][column].annotate(title, (0, 1), (0, 22), "axes fraction", textcoords="offset points", color=INK, fontsize=11, weight="bold")
    figure.text(0.5, 0.005, _caption(results), ha="center", color=FAINT, fontsize=8)
    figure.subplots_adjust(left=0.2, right=0.985, top=1 - 0.62 / figure.get_figheight(), bottom=0.3 / figure.get_figheight())
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def _panel(axis, surface, scenario: str, times: dict, names: bool) -> None:
    """One surface in one scenario."""
    ours = times.get((surface.key, scenario, surface.peers[0].name))
    for place, peer in enumerate(surface.peers):
        theirs = times.get((surface.key, scenario, peer.name))
        if names:
            weight = "bold" if peer.ours else "normal"
            axis.text(-0.2, place, peer.name, ha="right", va="center", color=INK, weight=weight)
        if ours and theirs:
            _bar(axis, place, theirs, ours, OURS if peer.ours else THEIRS)
        else:
            axis.text(0.08, place, "not measured", va="center", color=FAINT, fontsize=8)
    if names:
        axis.annotate(surface.title, (0, 1), (-110, 1), "axes fraction", textcoords="offset points", color=FAINT, fontsize=8.5)
    axis.axvline(1, color=OURS, linewidth=0.8, alpha=0.5, zorder=0)
    axis.set_xlim(0, WIDEST * 1.34)
    axis.set_ylim(len(surface.peers) - 0.4, -1.1)
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def _bar(axis, place: int, theirs: Spread, ours: Spread, color: str) -> None:
    """A bar, the range of its rounds, and both numbers."""
    length = ratio(theirs, ours)
    drawn = min(length, WIDEST)
    axis.barh(place, drawn, height=0.68, color=color)
    low, high = (min(value / ours.middle, WIDEST) for value in (theirs.low, theirs.high))
    axis.plot([low, high], [place, place], color=INK, linewidth=0.9, alpha=0.7, solid_capstyle="butt")
    if length > WIDEST:
        axis.text(WIDEST - 0.05, place, "▸", ha="right", va="center", color="white", fontsize=9)
    label = f"{theirs.middle:.3g} µs" if theirs.middle < 99.5 else f"{theirs.middle:.0f} µs"
    if color != OURS:
        label += f" · {length:.2g}x" if length < 9.95 else f" · {length:.0f}x"
    backdrop = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # the line of reknock's time passes behind
    axis.text(max(drawn, high) + 0.1, place, label, va="center", color=INK, fontsize=8, bbox=backdrop)


def _caption(results: dict) -> str:
    machine = results["machine"]
    warning = " PROVISIONAL: the machine was busy." if is_busy(results) else ""
    rounds = "One round, no ranges" if is_once(results) else f"Lines: range of {rounds_text(results)}"
    return (
        f"Time per call of a small GET on loopback, as a multiple of reknock's: shorter is faster. {rounds}. "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}.{warning}"
    )
