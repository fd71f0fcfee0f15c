"""The house stays a house: modules import only downwards, and never in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import staging

PACKAGE = Path(staging.__file__).parent

FLOORS = {
    "__init__": 6, "__main__": 6, "_cli": 6, "testing": 6, "llm": 6,
    "_area": 5,
    "_stage": 4,
    "_batch": 3, "_resources": 3, "_download": 3, "_context": 3, "_log": 3, "_local": 3, "_observer": 3,
    "_net": 2, "_disk": 2, "_claims": 2,
    "_scope": 1, "_turns": 1, "_clock": 1, "_budget": 1, "_events": 1, "_threads": 1,
    "_models": 0, "_errors": 0, "_text": 0, "_readable": 0, "_rare": 0, "_late": 0,
}  # fmt: skip

NEIGHBOURS = {  # imports on one floor that the table's sense allows
    ("__init__", "llm"), ("__init__", "testing"), ("__main__", "_cli"), ("_cli", "__init__"),
    ("testing", "__init__"), ("llm", "__init__"),
    ("_models", "_errors"), ("_models", "_text"), ("_errors", "_text"),
    ("_errors", "_readable"), ("_models", "_readable"), ("_models", "_rare"), ("_text", "_rare"), ("_late", "_errors"),
    ("_batch", "_download"), ("_batch", "_resources"), ("_batch", "_context"), ("_batch", "_log"), ("_log", "_context"),
    ("_batch", "_observer"), ("_observer", "_log"), ("_turns", "_budget"), ("_turns", "_threads"),
    ("_clock", "_budget"), ("_clock", "_threads"), ("_scope", "_threads"),
    ("_batch", "_local"), ("_local", "_download"),
    ("_disk", "_claims"),  # a file's name, and the bytes that tell its type
}  # fmt: skip

HTTPX_USERS = {"_cli/proxy", "_net/urls", "_net/policy"}
H11_USERS = {"_net/http1"}


def room(path: Path) -> str:
    """Return the module's place in the table: a package below ours counts as one."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


PATHS = sorted(PACKAGE.rglob("*.py"))


def sources() -> Iterator[tuple[str, Path, ast.AST]]:
    """Yield every module with its room and syntax tree."""
    for path in PATHS:
        yield room(path), path, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported anywhere in the tree: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            yield module
            if module.split(".")[0] == "staging":
                yield from (f"{module}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.AST) -> set[str]:
    """Return the rooms that a module imports from."""
    rooms = set()
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] == "staging":
            target = parts[1] if len(parts) > 1 else "__init__"
            rooms.add(target if target in FLOORS else "__init__")
    return rooms


def test_every_module_has_its_room():
    assert {name for name, _, _ in sources()} <= set(FLOORS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_downwards(path):
    name, tree = room(path), ast.parse(path.read_text("utf-8"))
    for target in own_imports(tree) - {name}:
        if target == "__init__" and "llm" in path.parts:
            continue
        allowed = FLOORS[target] < FLOORS[name] or (name, target) in NEIGHBOURS
        assert allowed, f"{path.name} (floor {FLOORS[name]}) imports {target} (floor {FLOORS[target]})"


def module(path: Path) -> str:
    """Return the module's name below the package, with slashes: ``_net/policy``."""
    return path.relative_to(PACKAGE).as_posix().removesuffix(".py")


def own_modules(tree: ast.AST) -> set[str]:
    """Return the modules of ours that a tree imports, a package as its ``__init__``."""
    found = set()
    for name in imported(tree):
        below = "/".join(name.split(".")[1:]) if name.startswith("staging.") else ""
        if below and (PACKAGE / f"{below}.py").is_file():
            found.add(below)
        elif below and (PACKAGE / below / "__init__.py").is_file():
            found.add(f"{below}/__init__")
    return found


def test_no_import_circle():
    """Neither between files nor through a folder's ``__init__``."""
    graph = {module(path): own_modules(ast.parse(path.read_text("utf-8"))) - {module(path)} for path in PATHS}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circle: {' -> '.join((*trail, name))}"
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_imports_under_type_checking():
    """A circle that only the type checker sees is still a circle."""
    for _, path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                assert not own_imports(node), f"{path.name} hides an import under TYPE_CHECKING"


@pytest.mark.parametrize(("package", "users"), [("httpx", HTTPX_USERS), ("h11", H11_USERS)])
def test_network_libraries_stay_in_their_rooms(package, users):
    found = {module(path) for _, path, tree in sources() if package in {i.split(".")[0] for i in imported(tree)}}
    assert {name for name in found if not name.startswith("testing")} <= users
