"""Python processes of our own: they find this package, and nothing of where they are started."""

from __future__ import annotations

import sys
from pathlib import Path

_BEGIN = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location("fallline", {package!r})
sys.modules["fallline"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["fallline"])
"""


def command(code: str, *argv: str) -> list[str]:
    """What runs `code`, which may import this very package, wherever it is.

    A random.py in the working folder is not taken for Python's own. PYTHONPATH stays what it is: a
    folder before Python's own could hold old backports of its modules.
    """
    package = str(Path(__file__).with_name("__init__.py"))
    return [sys.executable, "-P", "-c", _BEGIN.format(package=package) + code, *argv]
