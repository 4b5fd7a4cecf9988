"""What lies in the repository and how it is packed."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from resources import read_text, resource
from tests.house.checkout import PACKAGES, ROOT, called, git, modules, project, tree_of

TOP_LEVEL = {
    "app",
    "engine",
    "calibrate",
    "resources",
    "tests",
    "pyproject.toml",
    "build.spec",
    "README.md",
    "LICENSE",
}


def bundled() -> list[Path]:
    """The files that travel with the program, relative to resources/."""
    folder = ROOT / "resources"
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sorted(file.relative_to(folder) for file in files if file.suffix != ".py")


def requirements() -> list[Requirement]:
    listed = [
        *project()["build-system"]["requires"],
        *project()["project"]["dependencies"],
        *(each for extra in project()["project"]["optional-dependencies"].values() for each in extra),
    ]
    return [Requirement(each) for each in listed]


def test_the_top_level_holds_nothing_but_what_the_design_names() -> None:
    listed = git("ls-files", "--cached", "--others", "--exclude-standard")
    there = {name.partition("/")[0] for name in listed if (ROOT / name).exists()}
    assert {name for name in there if not name.startswith(".")} == TOP_LEVEL


def test_nothing_built_or_learnt_is_kept_in_git() -> None:
    kept = [
        name
        for name in git("ls-files")
        if re.search(r"\.(gguf|db|pyc|whl|safetensors)$|(^|/)(build|dist)/", name)
    ]
    assert kept == []


@pytest.mark.parametrize("requirement", requirements(), ids=lambda each: each.name)
def test_every_dependency_has_a_lower_and_an_upper_bound(requirement: Requirement) -> None:
    operators = {each.operator for each in requirement.specifier}
    assert operators & {">=", "==", "~="}, f"{requirement} has no lower bound"
    assert operators & {"<", "<=", "==", "~="}, f"{requirement} has no upper bound"


def test_every_bundled_file_is_reachable_in_a_package() -> None:
    files = bundled()
    assert len(files) > 50
    for file in files:
        assert resource(*file.parts).read_bytes() == (ROOT / "resources" / file).read_bytes(), file


def test_the_wheel_and_the_binary_hold_the_bundled_files() -> None:
    assert set(project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == {
        *PACKAGES,
        "resources",
    }
    assert 'collect_data_files("resources")' in (ROOT / "build.spec").read_text(encoding="utf-8")
    # hatchling leaves out of a wheel what git ignores, without a word.
    ignored = git("check-ignore", "--no-index", *(f"resources/{file.as_posix()}" for file in bundled()))
    assert ignored == []


def asked_for() -> list[tuple[Path, int, tuple[str, ...]]]:
    """Every file or folder the code asks of the resources by a fixed name: where, and which."""
    found = []
    for file in modules(*PACKAGES):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and called(node) in ("resource", "read_text"):
                parts = tuple(each.value for each in node.args if isinstance(each, ast.Constant))
                if len(parts) == len(node.args) and parts and all(isinstance(part, str) for part in parts):
                    found.append((file, node.lineno, tuple(map(str, parts))))
    return found


def test_every_bundled_file_the_code_asks_for_is_there_and_every_prompt_is_asked_for() -> None:
    wanted = asked_for()
    assert len(wanted) > 5
    for file, line, parts in wanted:
        path = ROOT.joinpath("resources", *parts)
        assert path.exists(), f"{file}:{line} asks for {'/'.join(parts)}, which is not in resources/"
    prompts = {file.name for file in bundled() if file.parts[0] == "prompts"}
    assert prompts == {parts[-1] for _, _, parts in wanted if parts[0] == "prompts"}


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def filled() -> dict[str, set[str]]:
    """What the code puts into each prompt: the names in ``read_text("prompts", NAME).format(name=…)``."""
    found: dict[str, set[str]] = {}
    for file in modules(*PACKAGES):
        for node in ast.walk(tree_of(file)):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        attr="format",
                        value=ast.Call(
                            func=ast.Name(id="read_text"), args=[_, ast.Constant(value=str(name))]
                        ),
                    ),
                    keywords=keywords,
                ):
                    found.setdefault(name, set()).update(str(keyword.arg) for keyword in keywords)
    return found


def test_the_prompts_hold_the_places_the_code_fills() -> None:
    fills = filled()
    assert set(fills) == {"insight.txt", "under-insight.txt"}, "mend this test with the code"
    for file in bundled():
        if file.parts[0] == "prompts" and file.suffix == ".txt":
            text = read_text(*file.parts)
            expected = fills.get(file.name, set())
            assert placeholders(text) == expected if expected else "{" not in text, file.name
            assert text, f"{file} is empty"


def test_the_query_templates_hold_the_places_the_code_fills() -> None:
    kinds: dict[str, list[str]] = tomllib.loads(read_text("prompts", "queries.toml"))
    content = {"topic": "topic", "notes": "notes", "continue": "opening"}
    assert set(kinds) == set(content)
    for kind, templates in kinds.items():
        assert len(set(templates)) == len(templates) > 1
        for template in templates:
            assert placeholders(template) == {content[kind]}, template
    (fill,) = {
        frozenset(str(keyword.arg) for node in calls for keyword in node.keywords)
        for calls in [
            [
                node
                for node in ast.walk(tree_of(ROOT / "calibrate" / "queries.py"))
                if isinstance(node, ast.Call) and called(node) == "_fill"
            ]
        ]
    }
    assert fill == set(content.values())
