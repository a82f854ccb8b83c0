"""How a run is carried out, beside its config: what is printed, who watches, who may stop it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from fallline.data import ImageSet
from fallline.track.terminal import Show
from fallline.training.signals import StopRequest, stop_on_signals
from fallline.training.watch import OnEval


@dataclass(frozen=True)
class Session:
    """One sitting of a run, from its begin or resumption to its end or next stop.

    Attributes:
        show: what to print: auto, bar, lines, quiet, json or silent.
        on_eval: called with the record of every evaluated epoch, of a run gone on with the past
            ones first; raises `Pruned` to end the run.
        stopping: whoever may ask the run to stop, which then returns with the outcome
            `interrupted`. Without it Ctrl-C and SIGTERM ask, and go on up when the run is saved.
        images: the images, where the caller has them open.
    """

    show: Show = "auto"
    on_eval: OnEval | None = None
    stopping: StopRequest | None = None
    images: ImageSet | None = None

    def stop_request(self) -> AbstractContextManager[StopRequest]:
        """The request to look at, while it can be made."""
        return stop_on_signals() if self.stopping is None else nullcontext(self.stopping)
