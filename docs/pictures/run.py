"""The README's picture of one run: loss and accuracy over training seconds."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fallline.records import RunFolder

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"  # Okabe and Ito 2008, safe for colour-blind


def draw(run: RunFolder, picture: Path) -> None:
    """Draws `run` into `picture`."""
    records = run.read_metrics()
    batches = [r for r in records if "train/batch_loss" in r]
    epochs = [r for r in records if r["event"] == "epoch" and "val/loss" in r]
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=160)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    seconds = [r["train_seconds"] for r in batches]
    left.plot(seconds, [r["train/batch_loss"] for r in batches], color=GREY, lw=0.7)
    clock = [r["train_seconds"] for r in epochs]
    left.plot(clock, [r["train/loss"] for r in epochs], color=ORANGE, marker="o", ms=3)
    left.plot(clock, [r["val/loss"] for r in epochs], color=BLUE, marker="o", ms=3)
    left.set(xlabel="training seconds", ylabel="loss", ylim=(0, None))
    for name, color, word in (("train", ORANGE, "training"), ("val", BLUE, "held out")):
        percent = [100 * r[f"{name}/accuracy"] for r in epochs]
        right.plot(clock, percent, color=color, marker="o", ms=3, label=word)
    right.set(xlabel="training seconds", ylabel="accuracy, %", ylim=(None, 100))
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.suptitle(_title(run), fontsize=10, parse_math=False)
    figure.savefig(picture)


def _title(run: RunFolder) -> str:
    config, facts, outcome = run.read_config(), run.read_environment(), run.read_outcome()
    test = (
        ""
        if not outcome or outcome.test_accuracy is None
        else (f", {outcome.test_accuracy:.1%} on the test split")
    )
    threads = f"{facts['threads']} threads of {facts['device_name']}"
    return (
        f"{config['model']['name']} by {config['optim']['name']} on {facts['data']['name']}, "
        f"{threads}{test}"
    )
