"""Writes the file tree into README.md, folded: one line per file, the first of its docstring.

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
START, END = "<!-- tree -->\n", "<!-- /tree -->"
FOLDED = "<details>\n<summary>Every file, a line each</summary>\n\n{}\n</details>\n\n"
ORDER = (
    "errors machine openmp command child registry storage values lock config records predictions "
    "space data models optim track presets training compare sweep report contest cli"
)


def sentence(path: Path) -> str:
    """The first line of a file's docstring, or of its comment in C."""
    if path.suffix != ".py":
        return path.read_text().splitlines()[0].strip("/* ")
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def tree() -> str:
    """The packages, and folded below them every file, layer by layer from the ground."""
    packages, lines = ["src/fallline/"], ["src/fallline/"]
    there = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert there <= set(ORDER.split()), f"ORDER lacks {there - set(ORDER.split())}"
    for name in ORDER.split():
        folder = SOURCE / name
        if folder.is_dir():
            line = f"  {name + '/':<26}{sentence(folder / '__init__.py')}"
            packages.append(line)
            files = sorted(set(folder.glob("*.py")) - {folder / "__init__.py"})
            files += sorted(folder.rglob("*.[ch]"))
            names = [(file.relative_to(folder).as_posix(), file) for file in files]
            lines += [line, *(f"    {name:<28}{sentence(file)}" for name, file in names)]
        else:
            file = SOURCE / f"{name}.py"
            lines.append(f"  {file.name:<26}{sentence(file)}")
    return block(packages) + "\n" + FOLDED.format(block(lines))


def block(lines: list[str]) -> str:
    """Lines as Markdown shows them unchanged."""
    return "\n".join(["```", *lines, "```", ""])


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
