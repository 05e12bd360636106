"""Draws docs/_static: python docs/pictures.py, with the package in place (make python)."""

from __future__ import annotations

from pathlib import Path

import reknock

STATIC = Path(__file__).with_name("_static")
COMMON = {"timeout": "none", "per_try_timeout": "3s", "retry_on": ["per-try-timeout", "connect-failure"]}
"""What the clients of the spike have in common, as in core/examples/storm.rs."""
STYLE = "text{fill:#1b1f24}.k{font-family:ui-monospace,monospace;font-size:13px}path{stroke:#667;fill:none}"
QUESTIONS = [
    ("verdict", "Does the policy retry this outcome?", "completed · not_retryable", "no"),
    ("retry_if", "Does a callback say STOP?", "predicate_stop", "yes"),
    ("evidence", "May the request be repeated?", "not_idempotent", "no"),
    ("body", "Can its body be made again?", "body_not_replayable", "no"),
    ("max_retries", "Is a retry left?", "retries_exhausted", "no"),
    ("retry_after", "Is the server's hint short enough?", "retry_after_too_long", "no"),
    ("timeout", "Does the wait end before the deadline?", "deadline", "no"),
    ("budget", "Does the shared purse grant it?", "budget_exhausted", "no"),
]


def picture(width: int, height: int, label: str, style: str, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="14" role="img"'
    ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([f'{head} aria-label="{label}">', f"<style>{style}</style>", ground, *parts, "</svg>", ""])


def decides() -> str:
    """How it decides: the questions in their order."""
    style = STYLE + ".b{fill:#e8f0f7;stroke:#0072b2}.s{fill:#fbeee6;stroke:#d55e00}.g{fill:#e5f4ee;stroke:#009e73}"
    arrow = '<path d="{}" marker-end="url(#a)"/>'
    parts = [
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" style="fill:#667;stroke:none"/></marker></defs>',
        '<rect class="b" x="120" y="10" width="330" height="34" rx="6"/><text x="285" y="32" text-anchor="middle">attempt n ended: a response or a failure</text>',
    ]
    for row, (key, question, reason, answer) in enumerate(QUESTIONS):
        y = 74 + row * 46
        parts.append(arrow.format(f"M285 {y - (30 if row == 0 else 16)} V{y - 4}"))
        parts.append(f'<text class="k" x="112" y="{y + 19}" text-anchor="end">{key}</text><rect class="b" x="120" y="{y}" width="330" height="30" rx="6"/>')
        parts.append(f'<text x="285" y="{y + 20}" text-anchor="middle">{question}</text>{arrow.format(f"M450 {y + 15} H520")}')
        parts.append(f'<text x="485" y="{y + 10}" text-anchor="middle" font-size="11">{answer}</text><rect class="s" x="526" y="{y}" width="222" height="30" rx="6"/>')
        parts.append(f'<text class="k" x="637" y="{y + 20}" text-anchor="middle">{reason}</text>')
    y = 74 + len(QUESTIONS) * 46
    parts.append(arrow.format(f"M285 {y - 16} V{y + 2}") + f'<rect class="g" x="120" y="{y + 8}" width="330" height="34" rx="6"/>')
    parts.append(f'<text x="285" y="{y + 30}" text-anchor="middle">wait, then attempt n + 1</text>{arrow.format(f"M120 {y + 25} H20 V27 H114")}')
    return picture(760, y + 56, "The rules in their order: the first that says no gives the stop reason", style, parts)


def storm() -> str:
    """Five seconds too many: what clients get done with and without a budget, by the simulator."""
    policies = [
        ("no retries", "#0072b2", {"max_retries": 0}, 1),
        ("retries without a budget", "#d55e00", {"budget": "none"}, 1),
        ("reknock's default", "#009e73", {}, 1),
        ("default in 64 processes", "#cc79a7", {}, 64),
        ("64 with share: host", "#b8860b", {"budget": {"share": "host"}}, 64),
    ]
    parts, offered = [], []
    for index, (name, colour, settings, processes) in enumerate(policies):
        result = reknock.simulate({**COMMON, **settings}, {"preset": "spike", "seeds": 20, "processes": processes}).to_dict()
        offered = result["series"]["offered"]
        points = " ".join(f"{50 + 6 * second} {230 - 2.4 * count:.0f}" for second, count in enumerate(result["series"]["good"]))
        share = result["goodput"]["share"]["median"]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" points="{points}"/>')
        x, y = 60 + 240 * (index % 3), 276 + 22 * (index // 3)
        parts.append(f'<rect x="{x}" y="{y}" width="16" height="4" fill="{colour}"/><text x="{x + 22}" y="{y + 7}">{name}: {share:.0%}</text>')
    points = " ".join(f"{50 + 6 * second} {230 - 2.4 * count:.0f}" for second, count in enumerate(offered))
    width = 50 + 6 * len(offered) + 20
    axis = [f'<path d="M50 20 V230 H{width - 20}"/>', f'<text x="{width // 2}" y="256" text-anchor="middle" font-size="12">seconds</text>']
    axis += [f'<text x="42" y="{234 - 2.4 * count:.0f}" text-anchor="end" font-size="12">{count}</text>' for count in (0, 40, 80)]
    axis.append(f'<polyline fill="none" stroke="#888" stroke-dasharray="4 3" points="{points}"/><text x="56" y="16" font-size="12">calls that end well per second (dashed: calls made)</text>')
    return picture(max(width, 780), 318, "A spike of five seconds: without a budget retries keep the server down", STYLE, axis + parts)


if __name__ == "__main__":
    (STATIC / "decides.svg").write_text(decides())
    (STATIC / "storm.svg").write_text(storm())
