"""The shape of the house, held by parsing its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "fallline"
LAYERS = [  # a module imports only from rows above its own, or from its own package
    {"errors"},
    {"child", "command", "machine", "openmp", "registry", "storage", "values"},
    {"config", "lock", "records", "predictions", "space"},
    {"data", "models", "optim", "track"},
    {"presets"},
    {"training", "compare"},
    {"sweep"},
    {"report"},
    {"contest"},
    {"cli", "__init__", "__main__"},
]
FENCES = {  # where each heavy library may be imported
    "torchvision": {"data/download.py"},
    "sklearn": {"data/builtin.py"},
    "tensorboard": {"track/tensorboard.py", "track/board.py"},
    "wandb": {"track/wandb.py", "track/wandb_file.py"},
    "optuna": {"sweep/sampling.py", "sweep/store.py", "sweep/study.py", "sweep/session.py"},
    "optuna_dashboard": {"sweep/dashboard.py"},
    "psycopg": {"sweep/store.py"},
    "matplotlib": {"track/pictures.py", "report/drawings.py"},
    "pytorch_optimizer": {"optim/library.py"},
    "ray": {"sweep/ray_connect.py"},
    "plotly": {"report/figures.py"},
    "jinja2": {"report/page.py"},
}
TORCHLESS = {"compare", "report"}  # they read run folders only
FILES = sorted(SOURCE.rglob("*.py"))


def imports_of(path: Path) -> list[str]:
    """Every absolute module name that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names.append(node.module or "")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def part_of(module: str) -> str:
    """The first part below the package: `fallline.data.cache` is in `data`."""
    return module.split(".")[1] if "." in module else "__init__"


def level(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_module_imports_only_from_rows_below_its_own(path: Path) -> None:
    if path.name in ("__init__.py", "__main__.py") and path.parent == SOURCE:
        return  # the package's own front: it may reach everywhere
    own = relative(path).split("/")[0].removesuffix(".py")
    for module in imports_of(path):
        if module.startswith("fallline."):
            part = part_of(module)
            allowed = part == own or level(part) < level(own)
            assert allowed, f"{relative(path)} ({own}) imports {module}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_libraries_stay_behind_their_fence(path: Path) -> None:
    for module in imports_of(path):
        fence = FENCES.get(module.split(".")[0])
        assert fence is None or relative(path) in fence, f"{relative(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_what_reads_run_folders_needs_no_torch(path: Path) -> None:
    if relative(path).split("/")[0] in TORCHLESS:
        for module in imports_of(path):
            assert module.split(".")[0] != "torch", f"{relative(path)} imports {module}"
            assert not module.startswith(("fallline.training", "fallline.sweep"))


def test_no_modules_import_each_other_in_a_cycle() -> None:
    known = {".".join(("fallline", *p.relative_to(SOURCE).with_suffix("").parts)) for p in FILES}
    graph = {
        ".".join(("fallline", *path.relative_to(SOURCE).with_suffix("").parts)): {
            module for module in imports_of(path) if module in known
        }
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for imported in sorted(graph.get(module, ())):
                visit(imported, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize(
    "statement",
    [
        "import fallline",
        "import fallline.cli",
        "import fallline.training.resolve",
        "import fallline.compare.comparison",
        "import fallline.report.files",
    ],
)
def test_what_answers_at_once_loads_nothing_heavy(statement: str) -> None:
    heavy = ["torch", "sklearn", "matplotlib", "wandb", "tensorboard", "optuna", "ray"]
    script = f"{statement}\nimport sys\nprint([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_every_file_has_a_noun_for_a_name() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [relative(path) for path in FILES if path.stem in banned]


def test_the_readme_says_in_one_line_what_each_file_is() -> None:
    script = Path(__file__).parents[1] / "docs" / "tree.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, "run: python docs/tree.py"
    for path in FILES:
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
        assert len(first) > 10, relative(path)
