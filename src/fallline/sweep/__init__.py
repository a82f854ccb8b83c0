"""Many trainings under one coordinator: a W&B sweep file, anywhere, with the same meaning.

>>> from fallline import sweep
>>> result = sweep.run("sweeps/homework.yaml", data="digits", on=sweep.Local(workers=2))
>>> result.best.parameters, result.best.score, result.best.path
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallline.registry import load

if TYPE_CHECKING:
    from fallline.sweep.file import SweepFile, read
    from fallline.sweep.local import Local
    from fallline.sweep.results import Result, Trial
    from fallline.sweep.session import run

__all__ = ["Local", "Result", "SweepFile", "Trial", "read", "run"]

_WHERE = {
    "Local": "fallline.sweep.local:Local",
    "Result": "fallline.sweep.results:Result",
    "SweepFile": "fallline.sweep.file:SweepFile",
    "Trial": "fallline.sweep.results:Trial",
    "read": "fallline.sweep.file:read",
    "run": "fallline.sweep.session:run",
}


def __getattr__(name: str) -> Any:
    """Loads an export when it is first used: reading a sweep file needs no Optuna."""
    if name in _WHERE:
        return load(_WHERE[name])
    raise AttributeError(f"module 'fallline.sweep' has no attribute '{name}'")
