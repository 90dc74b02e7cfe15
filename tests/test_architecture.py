"""The import rule, as data: what each room may know of ours, and of theirs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Rooms, and what a module in them may import beside the standard library and its own room.
MAY_IMPORT = {
    "domain": {"msgspec"},
    "application": {"domain", "msgspec"},
    "projections": {"domain", "msgspec"},
    "adapters": {
        *("domain", "application", "projections", "msgspec"),
        *("eventsourcing", "aiohttp", "pydantic", "pydantic_settings", "cryptography"),
        *("stamina", "zstandard", "swagger_ui", "yarl", "lxml", "mt940"),
    },
    "scripts": {
        *("domain", "application", "projections", "adapters", "msgspec"),
        *("typer", "rich", "aiohttp", "pydantic"),
    },
}
#: A clock, chance, and the network reach the core through ports only.
FORBIDDEN_IN_CORE = {"time", "random", "secrets", "os", "socket", "sqlite3", "uuid.uuid4", "uuid.uuid1"}
MAY_MEET_SIBLINGS = {"composition", "storage"}
#: What siblings share: the one opinion of what is durable.
SHARED = {"durable_file"}
MODULES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Every module imported, in full; of `from m import n` both `m` and `m.n`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    packages = {name.partition(".")[0] for name in imports_of(path)}
    foreign = packages - set(sys.stdlib_module_names) - MAY_IMPORT[room] - {room}
    assert not foreign, f"{room}/ must not import {', '.join(sorted(foreign))}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(ROOT).parts[0] in ("domain", "application", "projections")],
    ids=name_of,
)
def test_the_core_has_no_clock_no_chance_and_no_plug(path: Path) -> None:
    imported = imports_of(path)
    assert not imported & FORBIDDEN_IN_CORE
    called = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    }
    assert not called & {"datetime.now", "datetime.utcnow", "date.today", "uuid4", "asyncio.sleep"}


@pytest.mark.parametrize("path", sorted((ROOT / "adapters").rglob("*.py")), ids=name_of)
def test_sibling_adapters_are_strangers(path: Path) -> None:
    parts = path.relative_to(ROOT / "adapters").with_suffix("").parts
    if parts[0] in MAY_MEET_SIBLINGS:
        return
    siblings = {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("adapters.") and name.split(".")[1] not in {parts[0], *SHARED}
    }
    assert not siblings, f"adapters/{parts[0]} must not know adapters/{', '.join(sorted(siblings))}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "adapters/budget_insight/simulator").rglob("*.py")), ids=name_of
)
def test_the_simulator_shares_nothing_with_the_client(path: Path) -> None:
    foreign = {name for name in imports_of(path) if name.partition(".")[0] not in sys.stdlib_module_names}
    may_know = ("adapters.budget_insight.simulator", "aiohttp", "msgspec")
    assert all(name.startswith(may_know) for name in foreign)


@pytest.mark.parametrize("path", sorted((ROOT / "adapters/budget_insight").glob("*.py")), ids=name_of)
def test_the_client_does_not_know_the_simulator(path: Path) -> None:
    assert not any("simulator" in name for name in imports_of(path))


TRAP = """
import importlib, sys
OPENING = {"sqlite3.connect", "socket.bind", "socket.connect", "subprocess.Popen", "os.mkdir", "os.remove"}
def refuse(event, args):
    if event in OPENING or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")):
        raise RuntimeError(event)
sys.addaudithook(refuse)
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_importing_does_nothing_but_import() -> None:
    """No module of ours writes, connects or starts anything when it is imported."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.stem != "__main__"
    ]
    done = subprocess.run(
        [sys.executable, "-B", "-c", TRAP, *names], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
