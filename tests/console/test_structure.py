"""The console's modules import each other in one direction only."""

from __future__ import annotations

import ast
from pathlib import Path

import tiger_slack_tui.console

CONSOLE = Path(tiger_slack_tui.console.__file__).parent
PACKAGE = "tiger_slack_tui.console"


def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module, by the module's name."""
    found = {}
    for path in CONSOLE.rglob("*.py"):
        parts = path.relative_to(CONSOLE).with_suffix("").parts
        name = ".".join((PACKAGE, *parts)).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


def imported(tree: ast.Module, names: set[str]) -> set[str]:
    """Which of the modules it imports, inside functions and `if TYPE_CHECKING` too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert not node.level, "an import without the package's name"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & names


def test_no_two_modules_import_each_other() -> None:
    trees = modules()
    left = {name: imported(tree, set(trees)) for name, tree in trees.items()}
    assert len(left) > 30
    while free := {name for name, needs in left.items() if not needs & set(left)}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left
