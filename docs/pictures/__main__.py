"""Draws every picture of README and docs but the race (bench.draw_race), by the code that ships.

python docs/pictures              trains for all of them: some 8 minutes on 2 cores
python docs/pictures --run RUN    takes that run for the README's picture

What is trained lies in a folder that is gone at the end; a sweep and a comparison of handwritten
digits, and the default preset on CIFAR-10, or on --data.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

from boards import watched_comparison, watched_sweep
from pages import draw_dashboard, draw_reports
from run import draw

from fallline import compare, sweep, train
from fallline.records import RunFolder
from fallline.report.drawings import drawings
from fallline.report.files import document_at

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent / "study"
SWEEP = {
    "name": "digits",
    "method": "random",
    "run_cap": 36,
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 3},
    "parameters": {
        "optimizer": {"values": ["sgd", "adamw", "muon"]},
        "learning_rate": {"distribution": "log_uniform_values", "min": 5e-4, "max": 0.5},
        "weight_decay": {"distribution": "log_uniform_values", "min": 1e-5, "max": 3e-2},
        "batch_size": {"values": [32, 64, 128]},
        "epochs": {"value": 6},
    },
    "fallline": {"data": "digits", "seeds": 2},
}
SMALL = {"model.widths": [16, 32, 32]}  # a convnet whose training takes seconds


def main() -> None:
    """Trains, draws, and says what it drew."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--run", type=Path, help="a run to draw, instead of a new one")
    options.add_argument("--data", default="cifar10", help="what a new one trains on")
    given = options.parse_args()
    run = given.run.resolve() if given.run else None
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        out = Path("runs")
        with watched_sweep(HERE / "leaderboard.svg"):
            searched = sweep.run(SWEEP, settings=SMALL, out=out, show="bar").path
        with watched_comparison(HERE / "race.svg"):
            compare.run(
                ["sgd", "adamw", "sam", "muon"],
                data="digits",
                workloads=["convnet"],
                settings=SMALL,
                configs=6,
                seeds=4,
                budget="4ep",
                out=out,
                name="four-optimizers",
                show="bar",
            )
        draw_dashboard(searched, HERE)
        draw_reports(searched, out / "four-optimizers", HERE)
        path = run or train(data=given.data, out=out, name="default").path
        draw(RunFolder.open(path), HERE / "run.png")
    for figure in document_at([STUDY]).figures:
        for name, content in drawings(figure).items():
            if (STUDY / name).exists():  # those that its README or ours shows
                (STUDY / name).write_bytes(content)


if __name__ == "__main__":
    main()
