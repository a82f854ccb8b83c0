"""Under which name and over which axis a measurement is drawn, in TensorBoard as in W&B.

Batch series stand over steps, validation batches over their own count, epoch series over epochs.
A batch series that an epoch series has its name from (lr, grad_norm, ...) is under `batch/`.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from fallline.records import Record

Axis = Literal["step", "epoch", "val/batch"]
VAL_BATCH: Final = "val/batch"  # which batch a val/batch_loss is of, over all epochs


def axis(record: Record) -> Axis:
    """The axis all values of a record stand over."""
    if record.event != "batch":
        return "epoch"
    return "val/batch" if VAL_BATCH in record.values else "step"


def place(record: Record) -> int:
    """Where on its axis a record stands."""
    if axis(record) == VAL_BATCH:
        return int(record.values[VAL_BATCH])
    return record.step if record.event == "batch" else record.epoch


def drawn(record: Record) -> dict[str, float | str]:
    """Its finite numbers and its texts, by the names they are drawn under."""
    found: dict[str, float | str] = {}
    for name, value in record.values.items():
        if name != VAL_BATCH and (isinstance(value, str) or math.isfinite(value)):
            is_shared = record.event == "batch" and "/" not in name
            found[f"batch/{name}" if is_shared else name] = value
    return found
