"""The jail from inside: with full Python in a real child, every way out is shut."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_kit import Runner

from micro_agi_kernel.sandbox import jail

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="containment is promised on Linux only"),
]

OFFERS_SECCOMP = Path("/proc/sys/kernel/seccomp/actions_avail").exists()

# name -> Python that tries to get out, chosen to do no harm where it succeeds. `call` is a raw system call.
PROBES = {
    "open a file": "open('/etc/passwd')",
    "open a descriptor": "os.open('/', os.O_RDONLY)",
    "open the null device": "os.open('/dev/null', os.O_WRONLY)",
    "open proc": "open('/proc/self/maps')",
    "write a file": "open('/tmp/pwned', 'w')",
    "stat": "os.stat('/')",
    "list a folder": "os.listdir('/')",
    "readlink": "os.readlink('/proc/self/exe')",
    "chdir": "os.chdir('/')",
    "unlink": "os.unlink('/tmp/pwned')",
    "mkdir": "os.mkdir('/tmp/pwned')",
    "chmod": "os.chmod('/no/such/file', 0o700)",
    "TCP socket": "socket.socket()",
    "UDP socket": "socket.socket(type=socket.SOCK_DGRAM)",
    "raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "Unix socket": "socket.socket(socket.AF_UNIX)",
    "netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "socket pair": "socket.socketpair()",
    "pipe": "os.pipe()",
    "dup": "os.dup(0)",
    "fork": "os.fork()",
    "thread": "__import__('_thread').start_new_thread(print, ())",
    "exec": "os.execv('/bin/true', ['true'])",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "signal the zygote": "os.kill(ZYGOTE, 0)",
    "signal main": "os.kill(MAIN, 0)",
    "signal all": "os.kill(-1, 0)",
    "signal itself": "os.kill(os.getpid(), 0)",
    "ptrace main": "call(101, 16, MAIN, 0, 0)",
    "be traced": "call(101, 0, 0, 0, 0)",
    "read main's memory": "call(310, MAIN, 0, 0, 0, 0, 0)",
    "pidfd": "os.pidfd_open(MAIN)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
    "limits of main": "resource.prlimit(MAIN, resource.RLIMIT_CPU)",
    "executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "make memory executable": "call(10, call(9, 0, 4096, 3, 0x22, -1, 0), 4096, 5)",
    "pkey_mprotect": "call(329, 0, 4096, 5, -1)",
    "memfd": "os.memfd_create('x')",
    "io_uring": "call(425, 1, 0)",
    "bpf": "call(321, 0, 0, 0)",
    "userfaultfd": "call(323, 0)",
    "perf": "call(298, 0, 0, -1, -1, 0)",
    "keys": "call(250, 0, 0, 0)",
    "unshare": "call(272, 0x10000000)",
    "mount": "call(165, 0, 0, 0, 0, 0)",
    "prctl": "call(157, 4, 1, 0, 0, 0)",
    "seccomp": "call(317, 0, 0, 0)",
    "clone3": "call(435, 0, 0)",
    "personality": "call(135, 0x0400000)",
    "x32 call": "call(0x40000000 | 2, 0, 0, 0)",
    "uname": "os.uname()",
    "set a clock": "time.clock_settime(time.CLOCK_MONOTONIC, 0)",
    "getuid by number": "call(102)",
}
PROBE = """
import ctypes, mmap, os, resource, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
MAIN, ZYGOTE = {main}, {zygote}
def call(number, *arguments):
    found = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    if found == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return found
result = {{}}
for name, source in {probes!r}.items():
    try:
        eval(source)
        result[name] = "PWN"
    except OSError as error:
        result[name] = error.errno
    except (RuntimeError, ValueError) as error:  # what _thread and resource make of it
        result[name] = str(error)
"""


def zygote_of(lua: Runner) -> int:
    return lua.sandbox._workers._process.pid  # type: ignore[union-attr]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the probes name system calls by their x86-64 numbers")
async def test_every_probe_is_denied(lua: Runner) -> None:
    await lua.value("return 1")
    probe = PROBE.format(main=os.getpid(), zygote=zygote_of(lua), probes=PROBES)
    found = await lua.python(probe)
    assert isinstance(found, dict) and found.keys() == PROBES.keys()
    denied = {errno.EPERM, errno.EACCES, "can't start new thread", "not allowed to raise maximum limit"}
    assert {name: result for name, result in found.items() if result not in denied} == {}


async def test_the_child_holds_nothing_of_main(lua: Runner) -> None:
    """Four descriptors (null three times, the pipe), no environment, no secret-bearing module."""
    found = await lua.python("""
import os, sys
def is_open(fd):
    try:
        os.write(fd, b"")
        return True
    except OSError:
        return False
result = [[fd for fd in range(3, 64) if is_open(fd)].__len__(), dict(os.environ), sorted(
    name for name in sys.modules if name.split(".")[0] in ("openai", "httpx", "dulwich", "asyncio", "ssl"))]
""")
    assert found == [1, {"LC_CTYPE": "C.UTF-8"}, []]  # which Python sets for itself


async def test_layers_that_the_kernel_offers_are_active(lua: Runner) -> None:
    layers = {layer.name: layer for layer in await lua.sandbox.layers()}
    assert list(layers) == ["pdeathsig", "no_new_privs", "not_dumpable", "landlock", "rlimits", "seccomp"]
    offered = dict.fromkeys(layers, True)
    offered["landlock"] = offers_landlock()
    offered["seccomp"] = OFFERS_SECCOMP
    assert {name: layer.active for name, layer in layers.items()} == offered, layers


def offers_landlock() -> bool:
    try:
        return jail._syscall(jail._LANDLOCK_CREATE_RULESET, None, 0, jail._LANDLOCK_VERSION) > 0
    except OSError:
        return False


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
    if "landlock" in layer and not offers_landlock():
        pytest.skip("this kernel has no Landlock")
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ONE_LAYER.format(layer=layer), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output, _ = await done.communicate()
    assert output.decode().split() == denied.split()
