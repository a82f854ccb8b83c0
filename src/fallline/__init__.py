"""Fallline: finds the optimizer and the hyperparameters that train your image classifier best.

>>> from fallline import train
>>> run = train(data="digits", settings={"epochs": 2}, show="quiet")
>>> run.outcome.val_accuracy
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline.registry import load

if TYPE_CHECKING:
    from fallline.config import RunConfig
    from fallline.errors import FalllineError, Pruned
    from fallline.training.life import Run
    from fallline.training.run import resume, train

__version__ = "0.1.0"
__all__ = ["FalllineError", "Pruned", "Run", "RunConfig", "__version__", "resume", "train"]

_WHERE = {
    "FalllineError": "fallline.errors:FalllineError",
    "Pruned": "fallline.errors:Pruned",
    "Run": "fallline.training.life:Run",
    "RunConfig": "fallline.config:RunConfig",
    "resume": "fallline.training.run:resume",
    "train": "fallline.training.run:train",
}


def __getattr__(name: str) -> Any:
    """Loads an export when it is first used: importing the package loads no torch."""
    if name in _WHERE:
        return load(_WHERE[name])
    raise AttributeError(f"module 'fallline' has no attribute '{name}'")
