"""What a page is made of: sections, and in them rows of blocks: figures, tables, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from fallline.report.effects import Parallel
from fallline.report.figures import Figure
from fallline.report.methods import Methods
from fallline.report.runtable import RunTable
from fallline.report.table import Grid
from fallline.report.winner import Mistakes

Block = Figure | Grid | Parallel | Mistakes | RunTable | Methods
"""What the template can show; `kind` tells it how."""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        name: its address, and its word in the page's bar.
        title: its heading.
        rows: blocks side by side, row after row.
        lead: a sentence below the heading.
    """

    kind: ClassVar[str] = "section"
    name: str
    title: str
    rows: tuple[tuple[Block, ...], ...]
    lead: str = ""

    @property
    def blocks(self) -> Iterator[Block]:
        """All of them."""
        return (block for row in self.rows for block in row)
