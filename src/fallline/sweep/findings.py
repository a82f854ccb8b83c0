"""What reading a sweep file finds: faults that refuse it, notes on what was read leniently."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from fallline.config import Section, declared_fields
from fallline.errors import Fault
from fallline.training.faults import faults_of

S = TypeVar("S", bound=Section)


@dataclass
class Findings:
    """Faults and notes, in the order of the file."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(
        self, what: str, seen: object = None, allowed: str | None = None, next: str | None = None
    ) -> None:
        """Adds a fault."""
        self.faults.append(Fault(what, None if seen is None else str(seen), allowed, next))

    def number(self, where: str, value: Any, *, whole: bool = False) -> Any:
        """A finite number, also one written as text; anything else is a fault, and None."""
        number = number_of(value)
        if number is None or (whole and number != int(number)):
            self.refuse(f"{where} is no number", repr(value), "a whole number" if whole else None)
            return None
        if isinstance(value, str):
            self.notes.append(f"{where}: the text {value!r} was read as the number {number:g}")
        return int(number) if whole else number

    def numbers(
        self, kind: type[Section], where: str, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values, those that a section's NUMBERS name as numbers where they are text."""
        return {
            key: self.number(f"{where}.{key}", value)
            if key in getattr(kind, "NUMBERS", ()) and isinstance(value, str)
            else value
            for key, value in values.items()
        }

    def section(self, kind: type[S], where: str, values: Any) -> S | None:
        """A section of the file, checked; None where it has faults."""
        if not isinstance(values, Mapping):
            self.refuse(f"{where} is no mapping", repr(values), ", ".join(kind.model_fields))
            return None
        known = len(self.faults)
        numbers = self.numbers(kind, where, values)
        if len(self.faults) > known:
            return None
        try:
            return kind.model_validate(numbers)
        except ValidationError as error:
            names = [f"{where}.{name}" for name in kind.model_fields]
            names += declared_fields(kind, f"{where}.")
            self.faults += faults_of(error, kind, f"{where}.", names)
            return None


def number_of(value: Any) -> int | float | None:
    """The finite number that a value is or spells, if any."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return int(value)
    return number if math.isfinite(number) else None
