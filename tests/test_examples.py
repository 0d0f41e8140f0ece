"""The examples and the commands of the documentation: what a reader is told to run is run here."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import nbformat
import pytest
from documents_kit import EXAMPLES, ROOT, SECONDS, check_shown, prepare, read_blocks, run
from model_server import ModelServer, text
from nbclient import NotebookClient

PUBLIC = "https://httpbin.org/get"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

NOT_RUN = {
    "make demo     # two prompts through a real kernel": "installs from the network",
    "python3 -m venv .venv && . .venv/bin/activate": "installs from the network, and starts a front end",
}
"""Blocks of commands that no test runs, by the beginning of their first line, and why."""

PERMIT = """\
kind: security.policy
meta:
  comment: Opens 127.0.0.1 to tools, for a test
data:
  policy:
    actions: http_client.private_ip
    resources: 127.0.0.1
    effect: allow
  groups: [tool_security]
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def permit_loopback(folder: Path) -> None:
    """A policy entry, written as a person does: clone, commit, push."""
    run('git clone -q "$(micro-agi registry path)" permitting', folder)
    (folder / "permitting/app/permit_loopback.yaml").write_text(PERMIT)
    run("cd permitting && git add -A && git commit -qm 'Permit loopback' && git push -q", folder)


@pytest.fixture
def service() -> Iterator[str]:
    """A server on loopback that answers like the public one: it tells callers their address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"origin": "203.0.113.7", "url": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/get"
        server.shutdown()
        thread.join()


def notebook() -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)


def test_the_notebook_is_stored_clean() -> None:
    found = json.loads((EXAMPLES / "quickstart.ipynb").read_text())
    nbformat.validate(found)
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert found["metadata"]["kernelspec"] == {"display_name": "Micro AGI", "language": "markdown", "name": "micro-agi"}
    cells = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    assert ["".join(cell["source"]) for cell in cells] == ["what time is it?", f"fetch {PUBLIC} and show my ip"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_the_notebook_runs_and_leaves_two_commits_that_git_reads(shell: Path, service: str) -> None:
    """Tests reach no public server: its address is replaced by a server on loopback, which a policy entry permits."""
    permit_loopback(shell)
    ran = notebook()
    for cell in ran.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace(PUBLIC, service)
    NotebookClient(ran, kernel_name="micro-agi", timeout=SECONDS).execute()
    nbformat.validate(ran)

    time, ip = (cell.outputs for cell in ran.cells if cell.cell_type == "code")
    shown = "".join(output.data["text/plain"] + "\n" for output in time if "text/plain" in output.data)
    lines = ["[doc_search] ok", "[create_tool] ok", "[load_tool] ok", "[+] app.generated:current_time_utc"]
    places = [shown.index(f"  {line}\n") for line in [*lines, "[current_time_utc] ok"]]
    assert places == sorted(places)
    assert re.search(r"The current UTC time is \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.", shown)
    assert any("Your IP is 203.0.113.7." in output.data.get("text/plain", "") for output in ip)

    registry = Path(run("micro-agi registry path", shell).strip())
    run("git fsck --strict --no-dangling", registry)
    for name, prompt, outputs in (
        ("current_time_utc", "what time is it?", time),
        ("http_get", f"fetch {service} and show my ip", ip),
    ):
        commit = run(f"git log -1 --format=%H main -- app/generated/{name}.lua", registry).strip()
        [revision] = [output.metadata["micro_agi"] for output in outputs if "micro_agi" in output.metadata]
        assert revision["registry"] == commit, "the saved notebook names the commit"
        parsed = run(f"git log -1 --format=%B {commit} | git interpret-trailers --parse", registry)
        trailers = dict(line.split(": ", 1) for line in parsed.splitlines())
        assert trailers["Create"] == f"app.generated:{name}"
        assert trailers["Actor"] == "service:agent"
        assert trailers["Prompt"] == prompt
        assert (trailers["Session"], trailers["Cell"]) == (revision["session"], str(revision["cell"]))
        digest = run(f"git show {commit}:app/generated/{name}.lua | sha256sum", registry).split()[0]
        assert trailers["Source-SHA256"] == digest
    assert "\nfail" not in "\n" + run("micro-agi registry verify", shell)


def blocks(file: str) -> list[str]:
    """The blocks of commands in a page or a notebook."""
    return [content for kind, content in read_blocks(ROOT / file) if kind == "console"]


def block(file: str, beginning: str) -> str:
    [found] = [block for block in blocks(file) if block.startswith(beginning)]
    return found


RUN = {
    "README.md": ['$ git --git-dir="$(micro-agi registry path)" log -1', 'micro-agi ask "what time is it?"'],
    "examples/audit.md": ['cd "$(micro-agi registry path)"'],
    "examples/quickstart.ipynb": ['cd "$(micro-agi registry path)"'],
    "examples/by_hand.md": ['git clone "$(micro-agi registry path)" registry'],
    "examples/local_server.md": ["export OPENAI_BASE_URL=", 'git clone "$(micro-agi registry path)"'],
}
"""Blocks that the tests below run, by their beginning."""


@pytest.mark.parametrize("file", RUN)
def test_every_block_of_commands_is_run_or_says_why_not(file: str) -> None:
    for commands in blocks(file):
        ways = [begin for begin in (*RUN[file], *NOT_RUN) if commands.startswith(begin)]
        assert len(ways) == 1, commands


def test_the_make_targets_that_the_readme_names_exist(shell: Path) -> None:
    targets = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert targets >= {"demo", "test", "lab", "console"}
    run(f"make -n -C {ROOT} {' '.join(targets)}", shell)


def test_the_commands_of_the_readme(shell: Path) -> None:
    run(block("README.md", 'micro-agi ask "what time is it?"'), shell)
    log = block("README.md", "$ git")
    command, shown = log.split("\n", 1)
    check_shown(run(command.removeprefix("$ "), shell), shown, command)


def test_the_commands_of_a_tool_by_hand(shell: Path) -> None:
    """The pages of the documentation and of the settings are linked from there."""
    shown = run(block("examples/by_hand.md", "git clone"), shell)
    assert "\nfail" not in shown
    assert re.search(r"^Good day, Ada; it is \d\d:\d\d$", shown, re.MULTILINE)


def test_the_commands_of_the_audit(shell: Path) -> None:
    prompts = ["what time is it?", "make a uuid", 'base64 of "hello"', 'sha256 of "hello"', "fetch http://127.0.0.1:1/"]
    run(f"micro-agi ask {' '.join(f'{prompt!r}' for prompt in prompts)}", shell)
    for file in ("examples/audit.md", "examples/quickstart.ipynb"):
        printed = run(block(file, "cd "), shell)
        assert "Create app.generated:current_time_utc" in printed and "time.now():utc()" in printed
    assert "what time is it?" in run(block("examples/audit.md", "cd "), shell)


def test_the_commands_that_open_an_address(shell: Path, service: str) -> None:
    asked = f"micro-agi ask 'fetch {service} and show my ip'"
    assert "policy denied: http_client.private_ip on 127.0.0.1" in run(asked, shell)
    assert "fail" not in run(block("examples/policies.md", "git clone"), shell)
    assert "Your IP is 203.0.113.7." in run(asked, shell)


def test_the_commands_for_a_local_server(shell: Path) -> None:
    with_environment = block("examples/local_server.md", "export OPENAI_BASE_URL=")
    assert "gpt-5.1: the agent's model" in run(with_environment, shell)
    with ModelServer([text("It is ", "noon.")]) as server:
        commands = block("examples/local_server.md", "git clone")
        assert commands.count("http://localhost:11434/v1") == 1
        answered = run(commands.replace("http://localhost:11434/v1", server.url), shell)
        assert re.search(r"^It is noon\.\n  1 step, 120 tokens, [0-9.]+ s\n\Z", answered, re.MULTILINE)
    [request] = server.requests
    assert request.body["model"] == "qwen3:8b"
    assert request.headers["authorization"] == "Bearer none", "no key of the person goes to a server of an entry"
