"""The command line of this process, as it may be written down: without passwords."""

from __future__ import annotations

import re
import shlex
import sys

_OF_AN_ADDRESS = re.compile(r"(://[^/:@\s]*):\S*@")
_OF_A_QUERY = re.compile(r"(?<=[?&])password=[^&\s]*&?")


def argv() -> list[str]:
    """Its words."""
    return [without_password(word) for word in sys.argv]


def command_line() -> str:
    """Its words as a shell reads them."""
    return shlex.join(argv())


def without_password(text: str) -> str:
    """The text with addresses as they may be shown; a password comes from PGPASSWORD then."""
    shown = _OF_A_QUERY.sub("", _OF_AN_ADDRESS.sub(r"\1@", text))
    return shown if shown == text else shown.rstrip("?&")
