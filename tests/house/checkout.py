"""The checkout as the house's rules look at it: its modules, what each imports, its settings and its README."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "engine", "calibrate")


@dataclass(frozen=True)
class Import:
    """One import: ``module`` by its full name, the file and line it stands at."""

    module: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT).as_posix()}:{self.line} imports {self.module}"

    def is_of(self, *modules: str) -> bool:
        """Whether it is of one of these modules or of something inside them."""
        return any(self.module == module or self.module.startswith(f"{module}.") for module in modules)


def modules(*folders: str) -> list[Path]:
    """The Python files in these folders of the checkout."""
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports(*folders: str) -> list[Import]:
    """Every import in the Python files of these folders, at the top or inside a function."""
    return [each for file in modules(*folders) for each in _imports_of(file)]


def _imports_of(file: Path) -> Iterator[Import]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, file, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively; here modules are named in full"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield Import(inside if _is_module(inside) else str(node.module), file, node.lineno)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__") and node.args:
            named = node.args[0]
            known = isinstance(named, ast.Constant)
            yield Import(str(named.value) if isinstance(named, ast.Constant) else "?", file, node.lineno)
            assert known or file.relative_to(ROOT).as_posix() in COMPUTED, (
                f"{file}:{node.lineno} imports by name"
            )


# Where a module is imported by a name that is put together: what these can load is checked by name below.
COMPUTED = {
    "app/__main__.py": "the worker that the frozen binary is to become",
    "app/history/readers/__init__.py": "the reader of a file format",
}


def called(node: ast.Call) -> str:
    """The last name of what is called."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_module(name: str) -> bool:
    """Whether a name in this checkout is that of a module, rather than of something in one. From packages of
    others, Qt's modules are told apart as well: PySide6 itself holds nothing else."""
    if name.startswith("PySide6.") and name.count(".") == 1:
        return True
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@cache
def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of the README's shell blocks, without their comments; a chain of commands counts as several."""
    blocks = re.findall(r"```sh\n(.*?)```", readme(), re.DOTALL)
    lines = (re.sub(r"\s#\s.*", "", line) for block in blocks for line in block.splitlines())
    return [command.strip() for line in lines for command in line.split("&&") if command.strip()]


def git(*arguments: str) -> list[str]:
    """The lines git answers with; the test is skipped outside of a git checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so what belongs to it cannot be told")
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed here")
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()
