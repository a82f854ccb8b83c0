"""Draws the README's race: accuracy over training seconds, on a logarithmic axis.

python -m bench.draw_race RESULTS.json [PICTURE.png]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.race import TARGETS

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "race.png"
STYLES = {  # Okabe and Ito 2008, safe for colour-blind readers
    "fast": ("#d55e00", "o", "Fallline's presets"),
    "airbench": ("#009e73", "s", "airbench94's recipe, in Fallline's pieces"),
    "plain": ("#0072b2", "^", "a plain PyTorch loop"),
    "cycle": ("#56b4e9", "v", "the plain loop, its rate in one cycle"),
    "lightning": ("#888888", "D", "Lightning's recipe"),
}


def draw(results: dict[str, Any], picture: Path) -> None:
    """Draws the long race of `results` into `picture`."""
    figure = Figure(figsize=(9, 4.2), layout="constrained", dpi=160)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    told = set()
    for curve in filter(lambda curve: curve["points"], results["curves"]):
        kind = "fast" if curve["racer"].startswith("fast") else curve["racer"]
        color, marker, label = STYLES[kind]
        seconds, accuracies = zip(*curve["points"], strict=True)
        axes.plot(
            seconds,
            [100 * accuracy for accuracy in accuracies],
            color=color,
            marker=marker,
            ms=3.5,
            lw=1.4,
            label=None if kind in told else label,
        )
        told.add(kind)
        if kind == "fast":  # each on its own, as they share a colour
            end = seconds[-1], 100 * accuracies[-1]
            axes.annotate(
                curve["racer"],
                end,
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                color=color,
                fontsize=9,
            )
    for target in TARGETS:
        axes.axhline(100 * target, color="#bbbbbb", lw=0.7, zorder=0)
    axes.set(xscale="log", xlabel="training seconds", ylabel="accuracy on the test split, %")
    axes.set_xticks([3, 10, 30, 100, 300, 1000], labels=["3", "10", "30", "100", "300", "1000"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    machine = results["machine"]
    axes.set_title(
        f"{results['data']}, {machine['cores']} cores of {machine['cpu']}, {machine['date']}",
        fontsize=10,
        parse_math=False,
    )
    figure.savefig(picture)


if __name__ == "__main__":
    drawn = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE
    draw(json.loads(Path(sys.argv[1]).read_text()), drawn)
    print(drawn)
