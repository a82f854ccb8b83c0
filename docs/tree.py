"""Writes the file tree into README.md: one line per file, the first of its docstring.

python docs/tree.py          writes it
python docs/tree.py --check  exits with 1 if it is not what README.md says
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "fallline"
README = ROOT / "README.md"
START, END = "<!-- tree -->\n```\n", "```\n<!-- /tree -->"
ORDER = (
    "errors lock machine registry storage values config records predictions space data models "
    "optim track presets training compare sweep report contest cli"
)


def sentence(path: Path) -> str:
    """The first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def tree() -> str:
    """The tree, layer by layer from the ground."""
    lines = ["src/fallline/"]
    there = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert there <= set(ORDER.split()), f"ORDER lacks {there - set(ORDER.split())}"
    for name in ORDER.split():
        folder = SOURCE / name
        if folder.is_dir():
            lines.append(f"  {name + '/':<26}{sentence(folder / '__init__.py')}")
            files = sorted(set(folder.glob("*.py")) - {folder / "__init__.py"})
            lines += [f"    {file.name:<24}{sentence(file)}" for file in files]
        else:
            file = SOURCE / f"{name}.py"
            lines.append(f"  {file.name:<26}{sentence(file)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes or checks; the exit code."""
    text = README.read_text()
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    wanted = head + START + tree() + END + tail
    if "--check" in sys.argv:
        return int(text != wanted)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
