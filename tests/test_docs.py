"""What README and docs tell people to type."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from fallline.cli.app import app
from fallline.data.decode import FORMATS

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WHOLE_LINES = [page.read_text().replace("\\\n", " ") for page in PAGES]
TYPED = sorted(
    set(re.findall(r"(?:^|`)fallline ([^-`\n|&][^`\n|&]*)", "\n".join(WHOLE_LINES), re.M))
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_run_by_a_program_that_make_leaves_off_the_path(page: Path) -> None:
    assert not re.search(r"`uv run|^uv run|`uv sync", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", TYPED)
def test_every_command_of_a_page_is_there_with_its_options(line: str) -> None:
    command = get_command(app)
    words = shlex.split(line, comments=True)
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert options <= {name for param in command.params for name in param.opts}


def test_the_readme_names_every_format_that_is_read() -> None:
    text = (ROOT / "README.md").read_text()
    for name in FORMATS:
        assert name in text.upper()
    assert "TIFF, HEIC and others have to be converted" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there(page: Path) -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())
    assert [picture for picture in pictures if not (page.parent / picture).is_file()] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_says_that_packages_are_fetched_before_it_goes_quiet() -> None:
    command = ["make", "--dry-run", "--always-make", "demo"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert planned.index("fetching the packages") < planned.index("sync --locked")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_python_example_runs(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "fallline.training.threads.usable_cores", lambda: 1
    )  # others test here too
    monkeypatch.chdir(tmp_path)
    shorter = example.replace('"epochs": 10', '"epochs": 1')
    assert shorter != example
    exec(compile(shorter, "README.md", "exec"), {})
    test_accuracy, _, val_accuracy = capsys.readouterr().out.split()[-3:]
    assert 0.5 < float(test_accuracy) <= 1
    assert 0.5 < float(val_accuracy) <= 1
