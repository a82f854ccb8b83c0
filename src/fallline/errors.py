"""Every error of the package, in one small tree.

    FalllineError
    ├── ConfigError       the settings are wrong: all faults at once
    ├── DataError         the images cannot be used
    │   └── DataUnavailable  they are not on this machine and cannot be fetched
    ├── RunError          a run folder cannot be made, opened or gone on with
    │   └── CheckpointError  no checkpoint can be read
    ├── StorageError      writing failed: disk full, no permission
    ├── DeviceError       a device was asked for that is not there
    └── MissingExtra      an optional package is not installed
    Stop                  ends a training on purpose; carries a status, is never shown as an error
    ├── Diverged          a loss, a gradient's norm or a weight is not finite
    ├── Interrupted       a signal or the caller asked to stop
    └── Pruned            whoever watches the run has seen enough

A message says what went wrong, what was seen, what is allowed, and what to do next. The command
line prints it without a traceback and exits with 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Status = Literal["completed", "pruned", "diverged", "interrupted", "failed"]
"""How a run can end."""


def did_you_mean(word: str, known: Sequence[str]) -> str | None:
    """The known word that `word` most probably was meant to be, if any comes close."""
    by_lower = {name.lower(): name for name in known}
    if word.lower() in by_lower:
        return by_lower[word.lower()]
    turned = [name for name in by_lower if sorted(name) == sorted(word.lower())]
    close = turned or get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    begun = [name for name in by_lower if len(word) > 2 and name.startswith(word.lower())]
    close = close or begun * (len(begun) == 1)  # max: maximize
    return by_lower[close[0]] if close else None


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, in the four parts every message has."""

    what: str
    seen: str | None = None
    allowed: str | None = None
    next: str | None = None

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"seen: {self.seen}"] if self.seen is not None else []
        parts += [f"allowed: {self.allowed}"] if self.allowed is not None else []
        parts += [f"next: {self.next}"] if self.next is not None else []
        return "\n    ".join(parts)


def unknown_name(noun: str, word: str, known: Sequence[str], next: str | None = None) -> Fault:
    """The fault of a name that no row of a table has, with the nearest name as a suggestion."""
    guess = did_you_mean(word, known)
    hint = f"did you mean {guess}?" if guess else next or f"for example {known[0]}"
    return Fault(f"unknown {noun}", seen=word, allowed=", ".join(known), next=hint)


def said_of_file(error: Exception) -> str:
    """What is wrong with a file that cannot be read; of YAML in one line, with the place."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(getattr(error, "strerror", None) or error)
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    words = ", ".join(str(part) for part in (context, problem) if part)
    return f"line {mark.line + 1}, column {mark.column + 1}: {words}"


def _text(part: object) -> str | None:
    return None if part is None else str(part)


class FalllineError(Exception):
    """An error a person can mend; carries its faults as data and prints them as text."""

    def __init__(
        self,
        what: str | Fault | Sequence[Fault],
        *,
        seen: object = None,
        allowed: object = None,
        next: str | None = None,
    ) -> None:
        if isinstance(what, str):
            what = Fault(what, _text(seen), _text(allowed), next)
        self.faults: tuple[Fault, ...] = (what,) if isinstance(what, Fault) else tuple(what)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ConfigError(FalllineError):
    """The settings are wrong; every fault is listed."""


class DataError(FalllineError):
    """The images or labels cannot be used."""


class DataUnavailable(DataError):
    """The images are not on this machine and could not be fetched."""


class RunError(FalllineError):
    """A run folder cannot be made, opened or gone on with."""


class CheckpointError(RunError):
    """No checkpoint of the run can be read."""


class StorageError(FalllineError):
    """Writing failed; the message names the path and the disk."""


class DeviceError(FalllineError):
    """A device, precision or compiler was asked for that this machine does not have."""


class MissingExtra(FalllineError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}",
            seen="not installed",
            next=f"in the folder of the source: pip install '.[{extra}]'",
        )


class Stop(Exception):
    """Ends a training on purpose. `status` is the outcome's, `reason` a sentence."""

    status: Status = "interrupted"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Diverged(Stop):
    """A loss, a measured norm of the gradient, or a weight to be saved is not finite."""

    status: Status = "diverged"


class Interrupted(Stop):
    """A signal, or whoever started the run, asked it to stop."""

    status: Status = "interrupted"


class Pruned(Stop):
    """Whoever watches the run has seen enough; raise it from `on_eval`."""

    status: Status = "pruned"
