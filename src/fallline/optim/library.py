"""The optimizers of the pytorch_optimizer package by their names there (extra `optimizers`).

Of its 128 names (4.1.0) those are used that fit our contract. Names that a row of the table has
too mean the row. Its own list of undecayed parameters misses BatchNorm weights: parameters are
grouped by us. Its default rates are the papers', not tuned for small image models.
"""

from __future__ import annotations

NAMES: tuple[str, ...] = ()
LEFT_OUT: dict[str, str] = {}


def library_row(name: str):
    raise NotImplementedError
