"""The house's rules, checked on its own text: layers, one reader of the environment, imports that do nothing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import micro_agi_kernel

ROOT = Path(micro_agi_kernel.__file__).parent
PACKAGE = ROOT.name
MODULES = {".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}

VALUES = (
    *("errors", "values", "yaml_files", "entries", "lua_entries", "messages", "outputs", "questions", "panels"),
    "events",
    *(
        "interfaces",
        "mcp_settings",
        "logs",
        "settings",
        "environment",
        "resources",
        "imports",
        "patterns",
        "go_time",
        "expr",
        "tool_tests",
        "unseen",
        "lua_tokens",
        "lua_spelling",
        "code_hash",
        "parameters",
    ),
)
"""In their own order: each imports only what stands before it."""

ENGINES = frozenset({"registry", "policy", "sandbox", "lua_modules", "models", "docs_index"})
"""Each imports values and itself, never another engine."""

COMPOSITION = (
    *(
        "permissions",
        "naming",
        "question_content",
        "approval",
        "profiles",
        "pinning",
        "trust",
        "seeding",
        "rollback",
        "reaching",
        "programs",
        "host",
        "arguments",
        "call_record",
        "functions",
        "mcp_client",
        "testing",
        "agent_rules",
        "kind_checks",
        "checks",
        "dependents",
    ),
    *(
        "publishing",
        "workspace",
        "replay",
        "pushes",
        "evaluation",
        "verify",
        "exchange",
        "intake",
        "syncing",
        "autosync",
    ),
    *(
        "agent_entry",
        "model_choice",
        "summarizers",
        "file_forms",
        "working_folder",
        "attachments",
        "resumable",
        "notebook_memory",
        "session",
        "resuming",
        "cut_turns",
        "tool_costs",
        "markdown_text",
        "tool_page",
        "registry_panel",
        "bisecting",
        "commands",
        "completion",
        "inspection",
        "frontends",
        "__main__",
    ),
)
"""Lowest first; each imports engines, values and what stands before it."""

AGENT_SEES = frozenset(VALUES) - {
    *("mcp_settings", "logs", "settings", "environment", "resources", "yaml_files"),
}
"""The agent meets everything else through `interfaces`; of the composition only those below import it."""

AGENT_SEEN_BY = frozenset({"agent_entry", "summarizers", "resumable", "session", "resuming", "commands", "frontends"})

EVERY_ROOM = frozenset({*VALUES, *ENGINES, *COMPOSITION, "agent"})

FRONT_ENDS = frozenset({"cli", "jupyter", "mcp"})
"""Folders of frontends/, none of which imports another; the files beside them (text, transcript) are for all."""

BORROWED = {
    *(("cli", "jupyter.spec"), ("cli", "jupyter.ipynb")),
    *(("cli", "mcp.clients"), ("cli", "mcp.transports")),
}
"""The exceptions: `micro-agi install` and `doctor` write and find the kernelspec that belongs to the kernel,
`sessions export` writes a notebook as the kernel would have filled it, and `mcp` starts the server."""

READS_ENVIRONMENT = {
    "environment": "the one reader of what a person sets",
    "frontends.cli.demo": "hands its own environment on to the kernel that it starts",
    "frontends.jupyter.app": "Jupyter tells a kernel its parent process there (JPY_PARENT_PID)",
}

MAX_LINES = 400

HEAVY = {
    *("openai", "tiktoken", "jsonschema", "dulwich", "lupa", "httpx", "httpcore"),
    *("yaml", "click", "rich", "sqlite3", "markdown_it", "nh3"),
    *("re2", "cryptography", "jwt", "ada_url", "diff_match_patch", "mcp", "mcp_types"),
}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, lazily too, as the full name of what is named, with the line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full in MODULES or f"{full}.__init__" in MODULES
                yield (full if is_module else node.module or ""), node.lineno


def room(module: str) -> str:
    """The name directly below the package: "registry" of "micro_agi_kernel.registry.store"; "" for the package."""
    return [*module.removesuffix(".__init__").split("."), ""][1]


def edges() -> Iterator[tuple[str, str, str]]:
    """(importing module, imported module, where) inside the package, both without the package's name."""
    for module, path in sorted(MODULES.items()):
        for target, line in imports(path):
            if target.split(".")[0] == PACKAGE:
                here = module.removeprefix(f"{PACKAGE}.")
                yield here, target.removeprefix(PACKAGE).removeprefix("."), f"{path.relative_to(ROOT)}:{line}"


def allowed(source: str, target: str) -> bool:
    """Whether the room `source` may import the room `target`."""
    if source == target or target == "":  # "": the package itself, which holds its version
        return True
    if source == "":  # it names what the library gives, and imports nothing before it is asked for
        return True
    if source in VALUES:
        return target in VALUES[: VALUES.index(source)]
    if source in ENGINES:
        return target in VALUES
    if source == "agent":
        return target in AGENT_SEES
    if target == "agent":
        return source in AGENT_SEEN_BY
    return target in VALUES or target in ENGINES or target in COMPOSITION[: COMPOSITION.index(source)]


def test_every_room_has_its_place() -> None:
    rooms = {room(module) for module in MODULES} - {"__init__", ""}
    assert rooms == EVERY_ROOM


def test_the_map_shows_every_room_in_its_order() -> None:
    """A room stands at the beginning of a line of the map, or behind a dot in its middle, as `name.py` or `name/`."""
    page = (ROOT.parent / "docs/architecture.md").read_text()
    sections = page.partition("## Rooms")[2].split("```")[1].split("\n  -- ")
    shown = [re.findall(r"(?:^  |· )(\w+)(?:\.py|/)(?=[ :\n])", section, re.MULTILINE) for section in sections]
    values, engines, composition = ([name for name in names if name in EVERY_ROOM] for names in shown)
    assert values == list(VALUES) and set(engines) == ENGINES and len(engines) == len(ENGINES)
    assert composition.index("agent") < min(map(composition.index, AGENT_SEEN_BY))
    composition.remove("agent")
    assert composition == list(COMPOSITION)


def test_the_map_names_every_file_of_the_front_ends() -> None:
    page = (ROOT.parent / "docs/architecture.md").read_text()
    front_ends = page.partition("\n  frontends/ ")[2].partition("\n  __main__.py")[0]
    files = {path.stem for path in (ROOT / "frontends").rglob("*.py") if not path.stem.startswith("__")}
    assert files - {*re.findall(r"\w+", front_ends)} == set()


def test_imports_point_down() -> None:
    wrong = [
        f"{where}: {source} imports {target}"
        for source, target, where in edges()
        if not allowed(room(f"{PACKAGE}.{source}").removesuffix("__init__"), room(f"{PACKAGE}.{target}"))
    ]
    assert not wrong, "\n".join(wrong)


def test_front_ends_stand_beside_each_other() -> None:
    assert {path.parent.name for path in (ROOT / "frontends").glob("*/__init__.py")} == FRONT_ENDS
    wrong = []
    for source, target, where in edges():
        here, there = (
            name.removeprefix("frontends.") if name.startswith("frontends.") else "" for name in (source, target)
        )
        mine, other = here.split(".")[0], there.split(".")[0]
        if other in FRONT_ENDS and here and mine != other and (mine, there) not in BORROWED:
            wrong.append(f"{where}: {source} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_the_leaves_of_the_registry_s_room_are_imported_from_nowhere_in_it() -> None:
    """What a registry does without an audit, a remote or files; only a repair asks a remote."""
    leaves = ("registry.care", "registry.sharing", "registry.files")
    wrong = []
    for source, target, where in edges():
        leaf = next((leaf for leaf in leaves if target.startswith(f"{leaf}.")), None)
        inside = source.startswith("registry.") and source != "registry.__init__"
        if leaf and inside and not source.startswith(f"{leaf}.") and source != "registry.care.repair":
            wrong.append(f"{where}: {source} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_providers_and_lua_modules_do_not_know_each_other() -> None:
    """Members of a folder from which one picks: each stands alone on what the folder shares."""
    providers = {"openai", "demo", "replay"}
    shared = {"bounds", "catalog", "chat_format", "endpoint", "failures", "fallback", "thinking", ""}
    modules = {path.stem for path in (ROOT / "lua_modules").glob("[a-z]*.py")}
    assert providers | (shared - {""}) == {path.stem for path in (ROOT / "models").glob("[a-z]*.py")}
    for source, target, where in edges():
        for folder, members in (("models", providers), ("lua_modules", modules)):
            here, there = (name.removeprefix(f"{folder}.") for name in (source, target))
            if here in members and source.startswith(folder) and target.startswith(f"{folder}."):
                assert there not in members, where


def test_what_models_and_agents_say_is_true_in_every_front_end() -> None:
    """A script and a terminal have no kernel and no cells."""
    wrong = []
    for module, path in MODULES.items():
        if room(module) in ("models", "agent", "session"):
            tree = ast.parse(path.read_text("utf-8"))
            documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in documentation)
            wrong += [f"{path}:{text.lineno}" for text in texts if re.search(r"\b(cell|kernel)\b", str(text.value))]
    assert not wrong, "\n".join(wrong)


def test_layers_can_fail() -> None:
    assert not allowed("registry", "policy") and not allowed("agent", "functions") and not allowed("entries", "events")
    assert (
        not allowed("publishing", "workspace") and not allowed("host", "publishing") and not allowed("verify", "agent")
    )
    assert allowed("session", "agent") and allowed("policy", "entries") and allowed("frontends", "verify")


def test_only_one_module_reads_the_environment() -> None:
    readers = set()
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb")
            imported = isinstance(node, ast.ImportFrom) and node.module == "os"
            if named or imported:
                readers.add(module.removeprefix(f"{PACKAGE}."))
    assert readers == set(READS_ENVIRONMENT)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_small_and_says_what_it_is(module: str) -> None:
    path = MODULES[module]
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_LINES, f"{path} has more than {MAX_LINES} lines"
    tree = ast.parse(text)
    if not tree.body:
        return
    undocumented = [] if ast.get_docstring(tree) else [module]
    undocumented += [name for name, node in definitions(tree) if not documented(node)]
    assert not undocumented


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """The public classes and functions of a module."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node


def documented(node: Definition) -> bool:
    """A docstring; none is asked of what its name, its types and two lines say in full."""
    return bool(ast.get_docstring(node)) or (node.end_lineno or 0) - node.lineno <= 3


def run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Python, in an interpreter and a folder of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_importing_prints_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    names = sorted({module.removesuffix(".__init__") for module in MODULES} - {f"{PACKAGE}.__main__"})
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    done = run(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", [PACKAGE, f"{PACKAGE}.frontends.jupyter.kernel"])
def test_heavy_libraries_wait_for_their_use(tmp_path: Path, module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = run(code, tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("module", ["session", "workspace", "verify", "frontends.jupyter.notebook_sink"])
def test_the_composition_loads_no_client_before_its_use(tmp_path: Path, module: str) -> None:
    heavy = HEAVY - {"sqlite3"}
    code = f"import sys, {PACKAGE}.{module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = run(code, tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
