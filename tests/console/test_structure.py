"""The console's modules import in one direction only, and only driver/ uses private names of Textual."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

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


def outside_driver() -> dict[str, ast.Module]:
    return {
        name: tree for name, tree in modules().items() if not name.startswith(f"{PACKAGE}.driver")
    }


def textual_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__.startswith("textual.")]


def textual_classes() -> Iterator[type]:
    """The console's classes outside driver/ that extend one of Textual's."""
    for name in outside_driver():
        for one in vars(importlib.import_module(name)).values():
            if isinstance(one, type) and one.__module__ == name and textual_bases(one):
                yield one


def is_private(name: str) -> bool:
    return re.match("_[a-z]", name) is not None


def textual_names(cls: type) -> set[str]:
    return set().union(*map(names, textual_bases(cls)))


@cache
def names(cls: type) -> set[str]:
    """The attributes that the class's source uses, and the names that it defines."""
    found = set()
    for node in ast.walk(ast.parse(dedent(inspect.getsource(cls)))):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
    return found


def test_no_private_module_or_name_of_textual_is_imported() -> None:
    for name, tree in outside_driver().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("textual"):
                parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                assert not any(map(is_private, parts)), (name, parts)


def test_private_attributes_are_of_the_module_that_uses_them() -> None:
    for name, tree in outside_driver().items():
        nodes = list(ast.walk(tree))
        own = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        own |= {
            n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        }
        own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        used = {n.attr for n in nodes if isinstance(n, ast.Attribute) and is_private(n.attr)}
        assert used - own <= {"_exit"}, name  # os._exit


def test_no_private_attribute_of_textual_is_used_or_replaced() -> None:
    classes = list(textual_classes())
    assert len(classes) > 15
    clashes = {
        cls.__name__: found
        for cls in classes
        if (found := set(filter(is_private, names(cls) & textual_names(cls))))
    }
    assert not clashes
