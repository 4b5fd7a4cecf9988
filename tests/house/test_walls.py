"""The walls between the rooms: who may import what. Each rule is read off the source, not tried out."""

from __future__ import annotations

import ast
import re
import sys

from tests.house.checkout import COMPUTED, PACKAGES, ROOT, Import, imports, modules, project, tree_of

# Everything from outside that a room may use. A new name here is a decision, not a formality.
MAY_IMPORT = {
    "app": {
        "calibrate.messages",
        "charset_normalizer",
        "click",
        "docx",
        "engine.messages",
        "engine.sharing",
        "filelock",
        "platformdirs",
        "PySide6.QtCore",
        "PySide6.QtGui",
        "PySide6.QtWidgets",
        "resources",
        "rich",
        "sqlite_utils",
        "starlette",
        "uvicorn",
    },
    "engine": {"gguf", "llama_cpp", "numpy", "safetensors"},
    "calibrate": {"engine", "gguf", "numpy", "resources", "torch", "transformers"},
    "resources": set(),
}

NETWORK = [
    "aiohttp",
    "asyncio",
    "ftplib",
    "http",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "imaplib",
    "nntplib",
    "poplib",
    "requests",
    "smtplib",
    "socket",
    "_socket",
    "socketserver",
    "ssl",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "wsgiref",
    "xmlrpc",
    "PySide6.QtNetwork",
    "PySide6.QtWebEngineCore",
    "PySide6.QtWebSockets",
]
# Who imports a module that could reach a network, and what of it they use.
ALLOWED_ON_NETWORK = {
    # The one file that reaches out, and only when the person said so.
    ("app/modelstore/download.py", "http.client"): {"HTTPException"},
    ("app/modelstore/download.py", "urllib.request"): {
        "HTTPHandler",
        "HTTPSHandler",
        "OpenerDirector",
        "ProxyHandler",
        "Request",
    },
    ("app/desktop/interrupt.py", "socket"): {"socketpair"},
    ("app/server/answering.py", "asyncio"): {
        "FIRST_COMPLETED",
        "Lock",
        "Queue",
        "ensure_future",
        "gather",
        "get_running_loop",
        "wait",
    },
    ("app/server/run.py", "socket"): {"AF_INET", "AF_INET6", "create_server", "socket"},
}


def told(found: list[Import]) -> str:
    return "\n".join(map(str, found))


def test_every_room_imports_only_what_it_may() -> None:
    for room, allowed in MAY_IMPORT.items():
        outside = [
            each
            for each in imports(room)
            if each.module != "?"
            and not each.is_of(room)
            and each.module.partition(".")[0] not in sys.stdlib_module_names
        ]
        strange = [each for each in outside if not each.is_of(*allowed)]
        assert not strange, f"not on the list of what {room} may import:\n{told(strange)}"


def test_the_app_never_imports_a_model() -> None:
    models = [
        each for each in imports("app") if each.is_of("torch", "transformers", "llama_cpp", "gguf", "numpy")
    ]
    assert not models, told(models)


def test_the_app_knows_the_other_rooms_by_their_messages_only() -> None:
    beyond = [
        each
        for each in imports("app")
        if each.is_of("engine", "calibrate")
        and not each.is_of("engine.messages", "engine.sharing", "engine.wire", "calibrate.messages")
    ]
    assert not beyond, told(beyond)


def test_engine_and_calibrate_know_nothing_of_window_database_and_app() -> None:
    found = [
        each
        for each in imports("engine", "calibrate")
        if each.is_of("app", "PySide6", "sqlite3", "sqlite_utils")
    ]
    assert not found, told(found)


def test_the_engine_knows_nothing_of_learning() -> None:
    found = [each for each in imports("engine") if each.is_of("calibrate", "torch", "transformers")]
    assert not found, told(found)


def test_torch_is_imported_in_calibrate_only() -> None:
    found = [
        each
        for each in imports("app", "engine", "resources")
        if each.is_of("torch", "transformers", "accelerate")
    ]
    assert not found, told(found)


def test_the_messages_need_no_model() -> None:
    """They are imported by the app; what they import, it imports."""
    for name in ("engine/messages.py", "engine/wire.py", "calibrate/messages.py"):
        file = ROOT / name
        for each in imports(name.partition("/")[0]):
            if each.file == file and each.module.partition(".")[0] not in sys.stdlib_module_names:
                assert each.is_of("engine.messages", "engine.wire", "calibrate.messages"), str(each)


def test_inside_the_app_only_the_window_knows_qt_and_only_the_history_knows_sqlite() -> None:
    for packages, folder in (
        (("PySide6",), "app/desktop"),
        (("sqlite3", "sqlite_utils", "docx"), "app/history"),
    ):
        found = [
            each
            for each in imports("app")
            if each.is_of(*packages) and ROOT / folder not in each.file.parents
        ]
        assert not found, told(found)


def test_inside_the_app_only_the_server_knows_web_frameworks() -> None:
    found = [
        each
        for each in imports("app")
        if each.is_of("starlette", "uvicorn") and ROOT / "app/server" not in each.file.parents
    ]
    assert not found, told(found)


def test_the_history_knows_nothing_of_screens_and_processes() -> None:
    rooms = (
        "app.desktop",
        "app.workers",
        "app.commands",
        "app.cli",
        "app.shell",
        "app.console",
        "click",
        "rich",
    )
    found = [each for each in imports("app/history") if each.is_of(*rooms)]
    assert not found, told(found)


def test_no_code_path_opens_a_network_connection() -> None:
    found = [each for each in imports(*PACKAGES, "resources") if each.is_of(*NETWORK)]
    strange = [
        each
        for each in found
        if (each.file.relative_to(ROOT).as_posix(), each.module) not in ALLOWED_ON_NETWORK
    ]
    assert not strange, f"nothing here talks to a network:\n{told(strange)}"


def test_who_may_reach_a_network_uses_what_is_listed_and_no_more() -> None:
    for (name, module), used in ALLOWED_ON_NETWORK.items():
        found = {
            node.attr
            for node in ast.walk(tree_of(ROOT / name))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == module
        }
        assert found == used, f"{name} uses more of {module} than it may, or nothing any more"


def test_what_reaches_a_network_is_called_by_its_own_name() -> None:
    """Else the test before would not see what of it is used."""
    for name, module in ALLOWED_ON_NETWORK:
        named_in_full = [
            alias.asname is None
            for node in ast.walk(tree_of(ROOT / name))
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name == module
        ]
        everywhere = [
            each
            for each in imports(name.partition("/")[0])
            if each.file == ROOT / name and each.is_of(module)
        ]
        assert named_in_full
        assert all(named_in_full), f"{name} gives {module} another name"
        assert len(named_in_full) == len(everywhere), f"{name} imports out of {module}"


def test_only_the_command_that_asks_can_download() -> None:
    found = {
        each.file.relative_to(ROOT).as_posix()
        for each in imports(*PACKAGES)
        if each.is_of("app.modelstore.download")
    }
    assert found == {"app/commands/models.py"}


def test_modules_imported_by_a_computed_name_stay_in_their_room() -> None:
    computed = {each.file.relative_to(ROOT).as_posix() for each in imports(*PACKAGES) if each.module == "?"}
    assert computed == set(COMPUTED), "the list of these places is out of date"
    for name in COMPUTED:
        text = (ROOT / name).read_text(encoding="utf-8")
        for module in re.findall(r"[\"']((?:app|engine|calibrate|torch|llama_cpp)\.[\w.]+)[\"']", text):
            assert module.startswith("app.history.readers."), f"{name} can load {module}"


def test_processes_are_started_by_names_that_exist() -> None:
    text = (ROOT / "app/__main__.py").read_text(encoding="utf-8")
    assert '_WORKERS = ("engine", "calibrate")' in text, "mend this test with it"
    for worker in ("engine", "calibrate"):
        functions = [
            node.name
            for node in tree_of(ROOT / worker / "serve.py").body
            if isinstance(node, ast.FunctionDef)
        ]
        assert "main" in functions
        assert '__name__ == "__main__"' in (ROOT / worker / "serve.py").read_text(encoding="utf-8")


def test_every_dependency_is_declared_and_every_declared_one_is_used() -> None:
    declared = {
        *project()["project"]["dependencies"],
        *project()["project"]["optional-dependencies"]["calibrate"],
        *project()["project"]["optional-dependencies"].get("serve", []),
    }
    names = {re.split(r"[<>=!~\[; ]", each)[0].lower().replace("-", "_") for each in declared}
    imported_as = {"pyside6_essentials": "PySide6", "python_docx": "docx", "llama_cpp_python": "llama_cpp"}
    expected = {imported_as.get(name, name) for name in names}
    found = (
        {each.module.partition(".")[0] for each in imports(*PACKAGES) if each.module != "?"}
        - set(sys.stdlib_module_names)
        - {*PACKAGES, "resources"}
    )
    # transformers asks for accelerate when it reads a GGUF file.
    assert found | {"accelerate"} == expected


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        file.relative_to(ROOT).as_posix(): lines
        for file in modules(*PACKAGES, "resources", "tests")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long, f"is there more than one idea in them? {long}"
