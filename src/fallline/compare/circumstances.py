"""What the trainings of a comparison ran on and with, and where that differs among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fallline.records import RunFolder


@dataclass(frozen=True)
class Circumstances:
    """Of all trainings together; what differs among them stands there with every value.

    Attributes:
        versions: of the packages.
        devices: by name.
        threads: CPU threads of a training.
        precisions: fp32 or bf16.
        kernels: which for the CPU, or "none", of trainings that would compute by them.
        data: the image set's name; `fingerprints` are its content's.
        classes: their number.
        train_images, val_images, test_images: sizes of the splits; 0 test images: no such split.
        validation: in words, what choices were made on.
        warnings: what makes these trainings less comparable than they should be.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    precisions: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    data: str = ""
    fingerprints: tuple[str, ...] = ()
    classes: int = 0
    train_images: int = 0
    val_images: int = 0
    test_images: int = 0
    validation: str = ""
    warnings: tuple[str, ...] = ()


MATTERS = (
    ("devices", "the trainings ran on different devices, so seconds compare these too"),
    (
        "threads",
        "the trainings had different numbers of CPU threads, so seconds compare these too",
    ),
    ("precisions", "the trainings computed in different precisions"),
    (
        "kernels",
        "the trainings computed by different kernels for their CPU, or some by none, so seconds "
        "compare these too",
    ),
    ("fingerprints", "the images changed between trainings"),
    ("torch", "torch changed between trainings"),
)


def circumstances_of(folders: Iterable[RunFolder]) -> Circumstances:
    """What the environments of run folders say; one that failed at its very start has none."""
    told = [folder.read_environment() for folder in folders if folder.environment.is_file()]
    if not told:
        return Circumstances()
    seen: dict[str, tuple[Any, ...]] = {
        "devices": _values(told, "device_name"),
        "threads": _values(told, "threads"),
        "precisions": _values(told, "precision"),
        "kernels": _values([one for one in told if one.get("kernels") is not None], "kernels"),
        "fingerprints": _values([one["data"] for one in told], "fingerprint"),
        "torch": _values([one["versions"] for one in told], "torch"),
    }
    data = told[0]["data"]
    return Circumstances(
        versions=told[0]["versions"],
        devices=seen["devices"],
        threads=seen["threads"],
        precisions=seen["precisions"],
        kernels=seen["kernels"],
        data=data["name"],
        fingerprints=seen["fingerprints"],
        classes=len(data["classes"]),
        train_images=data["train_images"],
        val_images=data["val_images"],
        test_images=data["test_images"],
        validation=data["validation"],
        warnings=tuple(
            f"{words}: {', '.join(map(str, seen[name]))}"
            for name, words in MATTERS
            if len(seen[name]) > 1
        ),
    )


def _values(told: Sequence[Mapping[str, Any]], key: str) -> tuple[Any, ...]:
    """Every value that occurs, each once, in the order of the runs."""
    return tuple(dict.fromkeys(one[key] for one in told))
