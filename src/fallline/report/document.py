"""All that a page says, computed before any of it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.report import figures
from fallline.report.answer import Answer, answer_of
from fallline.report.configuration import Configuration, ranking, varied_settings
from fallline.report.curves import Axis, batch_curve, run_curve
from fallline.report.figures import Figure
from fallline.report.methods import Methods, methods_of
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.runtable import RunTable, repeat_command, run_table
from fallline.report.sources import Source


@dataclass(frozen=True)
class Document:
    """A report: the answer first, then what it rests on."""

    title: str
    answer: Answer
    ranking: tuple[Configuration, ...]
    curves: tuple[Figure, ...]
    table: RunTable
    methods: Methods
    kicker: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure."""
        return self.curves

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections there are, in their order."""
        found = {"answer": True, "curves": self.curves, "runs": True, "methods": True}
        return tuple(name for name, content in found.items() if content)


def document_of(source: Source) -> Document:
    """Computes the report of a source."""
    varied = varied_settings(source.runs)
    ranked = ranking(source.runs, source.metric)
    return Document(
        title=source.name,
        answer=answer_of(source, ranked),
        ranking=ranked,
        curves=_run_curves(source.runs[0]) if source.kind == "run" else (),
        table=run_table(source.runs, varied, source.metric),
        methods=methods_of(source, repeat_command(source.runs[0])),
        kicker={
            "run": "Report on one run",
            "runs": "Report on runs",
            "sweep": "Report on a sweep",
        }[source.kind],
    )


def _run_curves(run: Run) -> tuple[Figure, ...]:
    return tuple(_run_figure(run, axis) for axis in ("steps", "seconds"))


def _run_figure(run: Run, axis: Axis) -> Figure:
    accuracy, loss = Metric("val/accuracy"), Metric("val/loss", "minimize")
    views = {
        "accuracy": figures.curve_view(
            [
                run_curve(run, "val/accuracy", axis, "held out"),
                run_curve(run, "train/accuracy", axis, "training"),
            ],
            axis,
            accuracy,
            "accuracy",
        ),
        "loss": figures.curve_view(
            [
                run_curve(run, "val/loss", axis, "held out"),
                run_curve(run, "train/loss", axis, "training"),
                batch_curve(run, "train/batch_loss", axis, "training batches"),
            ],
            axis,
            loss,
            "loss",
        ),
        "learning rate": figures.curve_view(
            [batch_curve(run, "lr", axis, "learning rate")], axis, loss, "learning rate"
        ),
    }
    return Figure(f"curves-{axis}", f"Over {figures.AXIS_TITLES[axis]}", "", views)
