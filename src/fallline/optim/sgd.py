"""torch's SGD, made fit for a momentum of 0 while Nesterov's is the default."""

from __future__ import annotations

from typing import Any

import torch


class SGD(torch.optim.SGD):
    """The same algorithm; `nesterov` gives way where torch refuses it.

    Without momentum both kinds are the same algorithm, and with dampening there is only the plain.
    """

    def __init__(
        self, params: Any, *, momentum: float, dampening: float, nesterov: bool, **others: Any
    ) -> None:
        nesterov = nesterov and momentum > 0 and dampening == 0
        super().__init__(
            params, momentum=momentum, dampening=dampening, nesterov=nesterov, **others
        )
