"""The jail from inside: with full Python in a real child, every way out is shut."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jail_probes import IS_OPEN, NO, OFFERS_SECCOMP, ON_X86, attempt, every_probe, landlock_version
from sandbox_kit import Runner, opened

from micro_agi_kernel.errors import ErrorKind

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="containment is promised on Linux only"),
]


@pytest.mark.skipif(not ON_X86, reason="the probes name system calls by their x86-64 numbers")
async def test_every_probe_is_denied(lua: Runner) -> None:
    found = await attempt(lua, every_probe())
    assert {name: result for name, result in found.items() if result not in NO} == {}


@pytest.mark.skipif(not ON_X86, reason="x86-64 alone runs the programs of an older one")
async def test_a_call_of_another_instruction_set_kills(lua: Runner) -> None:
    """The numbers mean other calls there: 5 opens, where the table means fstat. `gate` holds `int 0x80`."""
    error = await lua.error("return require('python').run('import sandbox_modules; result = sandbox_modules.gate(20)')")
    assert (error.kind, error.message) == (ErrorKind.CRASHED, "the sandboxed process was ended by SIGSYS")


async def test_the_child_holds_nothing_of_main(lua: Runner) -> None:
    """Four descriptors (null three times, the pipe), no environment, no secret-bearing module, no word on main."""
    os.environ["OPENAI_API_KEY"] = secret = "sk-canary-5d41402abc"  # before this sandbox is started
    try:
        async with opened() as fresh:
            descriptors, environment, real_environment, modules, arguments = await fresh.python(HOLDINGS)  # type: ignore
    finally:
        del os.environ["OPENAI_API_KEY"]
    assert descriptors == [0, 1, 2, descriptors[3]]
    assert environment == {"LC_CTYPE": "C.UTF-8"}  # which Python sets for itself
    assert real_environment == ["LC_CTYPE=C.UTF-8"]
    assert modules == []
    assert secret not in arguments


HOLDINGS = (
    IS_OPEN
    + """
import ctypes, os, sys
environ, entries = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ"), []
while environ[len(entries)]:
    entries.append(environ[len(entries)].decode())
secret_bearing = ("openai", "httpx", "httpcore", "dulwich", "asyncio", "ssl", "git", "ipykernel", "zmq")
result = [[fd for fd in range(1024) if is_open(fd)], dict(os.environ), entries, sorted(
    name for name in sys.modules if name.split(".")[0] in secret_bearing), repr(sys.argv) + repr(sys.orig_argv)]
"""
)


async def test_layers_that_the_kernel_offers_are_active(lua: Runner) -> None:
    layers = {layer.name: layer for layer in await lua.sandbox.layers()}
    assert list(layers) == ["pdeathsig", "no_new_privs", "not_dumpable", "landlock", "rlimits", "seccomp"]
    offered = dict.fromkeys(layers, True)
    offered["landlock"] = landlock_version() > 0
    offered["seccomp"] = OFFERS_SECCOMP
    assert {name: layer.active for name, layer in layers.items()} == offered, layers


async def test_the_kernel_agrees(lua: Runner) -> None:
    """What /proc says of a running child."""
    status: list[str] = []

    def on_output(text: str) -> None:
        status.append(Path(f"/proc/{int(text)}/status").read_text())

    source = "print(require('python').run('import os; result = os.getpid()')) require('service').sleep(0.2)"
    await lua.value(source, on_output=on_output)
    facts = dict(line.split(":\t", 1) for line in status[0].splitlines())
    assert (facts["NoNewPrivs"], facts["Seccomp"], facts["Threads"]) == ("1", "2", "1")


ONE_LAYER = """
import errno, os, socket
from micro_agi_kernel.sandbox import jail
from micro_agi_kernel.errors import ErrorKind
def denied(attempt):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        return not isinstance(error, OSError) or error.errno in (errno.EPERM, errno.EACCES, errno.EMFILE)
    return False
def connect():
    with socket.socket() as end:
        end.connect(("127.0.0.1", 9))
probes = {{
    "read": lambda: open("/etc/passwd"),
    "connect": connect,
    "socket": socket.socket,
    "signal": lambda: os.kill(os.getppid(), 0),
    "stat": lambda: os.stat("/"),
    "fork": lambda: os.fork() or os._exit(0),
    "memory": lambda: bytearray(512 << 20),
}}
{layer}
print(*[name for name, attempt in probes.items() if denied(attempt)])
"""


@pytest.mark.parametrize(
    ("layer", "denied"),
    [
        ("", ""),
        ("jail.no_new_privileges(); jail.landlock()", "read connect signal"),
        ("jail.resource_limits(jail.address_space() + (256 << 20), 5)", "read connect socket memory"),
        ("jail.no_new_privileges(); jail.system_call_filter()", "read connect socket signal stat fork"),
    ],
)
async def test_each_layer_holds_by_itself(layer: str, denied: str) -> None:
    if "landlock" in layer and not landlock_version():
        pytest.skip("this kernel has no Landlock")
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ONE_LAYER.format(layer=layer), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output, _ = await done.communicate()
    assert output.decode().split() == denied.split()
