"""The jail: what a child gives up, by system calls of its own, before it sees the first byte of a program.

Each layer is tried on its own and reported; what the kernel lacks is reported as inactive, never guessed.
With all of them active a process that was taken over completely can compute and talk on the descriptors
that it holds. It cannot open, stat or list files, make sockets, start or signal or trace processes, map
executable memory, or outlive the process that forked it. Not covered: side channels (time, caches, load)
and faults of the kernel in the about thirty system calls that stay open.

Linux 5.13 and later offers everything, x86-64 and aarch64. Elsewhere there are resource limits at most.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable

from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.sandbox.protocol import Layer

HEADROOM = 128 * MIB
"""Address space beyond the zygote's own size and the Lua limit, for Python's side of a call: 128 MiB
carried every library of the modules, where a total of 128 MiB ended some with SIGSEGV."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_VERSION = 1

# The calls that Lua, CPython and the modules were seen to need, and the harmless ones that memory, signals and
# clocks of the C library may reach for. Numbers: arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h.
_ALLOWED = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "poll": 7, "munmap": 11, "brk": 12, "rt_sigaction": 13,
        "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35,
        "getpid": 39, "exit": 60, "gettimeofday": 96, "sigaltstack": 131, "gettid": 186, "time": 201, "futex": 202,
        "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "ppoll": 271, "getrandom": 318,
    },
    "aarch64": {
        "close": 57, "read": 63, "write": 64, "ppoll": 73, "exit": 93, "exit_group": 94, "futex": 98, "nanosleep": 101,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_yield": 124, "restart_syscall": 128,
        "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "gettimeofday": 169,
        "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215, "mremap": 216, "madvise": 233, "getrandom": 278,
    },
}  # fmt: skip
_ALLOWED_WITHOUT_EXEC = {"x86_64": {"mmap": 9, "mprotect": 10}, "aarch64": {"mmap": 222, "mprotect": 226}}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_PROT_EXEC = 4


def prepare() -> None:
    """Do beforehand, once, what every fork can inherit: the C library opened, the filter compiled."""
    for inherited in (_libc, _filter):
        with contextlib.suppress(OSError, LookupError):  # the layer that needs it will say so
            inherited()


def apply(parent: int | None, size: int, memory: int, cpu_seconds: float) -> list[Layer]:
    """Jail this process for good, and say which layers hold.

    `parent` is the process that forked this one, if it was forked; `size` what `address_space` told before;
    `memory` the Lua limit in bytes.
    """
    layers: list[tuple[str, Callable[[], str]]] = [
        ("pdeathsig", lambda: die_with_parent(parent)),
        ("no_new_privs", no_new_privileges),
        ("not_dumpable", not_dumpable),
        ("landlock", landlock),
        ("rlimits", lambda: resource_limits(size + memory + HEADROOM if size else 0, cpu_seconds)),
        ("seccomp", system_call_filter),
    ]
    found = []
    for name, activate in layers:
        try:
            found.append(Layer(name, True, activate()))
        except (OSError, ImportError, LookupError, ValueError) as error:
            found.append(Layer(name, False, str(error)))
    return found


def die_with_parent(parent: int | None) -> str:
    """SIGKILL when the forking process ends, also when it ended before we asked for that."""
    if parent is None:  # the signal comes when the starting thread ends: wrong for all but a forked child
        raise LookupError("this process was started, not forked; it ends with its pipe")
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    return "killed with the process that forked it"


def no_new_privileges() -> str:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "no program can raise privileges"


def not_dumpable() -> str:
    _prctl(_PR_SET_DUMPABLE, 0)
    return "no core, no tracing by others of the same user"


def landlock() -> str:
    """Deny every access that this kernel's Landlock knows: a ruleset that handles all and allows none."""
    abi = _syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    files = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)  # rights on files, each version's all
    attributes = struct.pack("=Q", (1 << files) - 1)
    if abi >= 4:
        attributes += struct.pack("=Q", 0b11)  # TCP bind, connect
    if abi >= 6:
        attributes += struct.pack("=Q", 0b11)  # abstract sockets, signals
    ruleset = _syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        _syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"ABI {abi}: files{', TCP' if abi >= 4 else ''}{', signals' if abi >= 6 else ''}"


def resource_limits(space: int, cpu_seconds: float) -> str:
    """Address space (0: unknown, so not limited), CPU time, and no new descriptors, file bytes, processes, cores."""
    import resource

    # One descriptor, and number 0 is taken: poll fails when it is given more than the limit.
    cpu = math.ceil(cpu_seconds) + 1
    limits = {"CPU": cpu, "NOFILE": 1, "FSIZE": 0, "NPROC": 0, "CORE": 0} | ({"AS": space} if space else {})
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    return f"{space // MIB} MiB of address space, {cpu} s of CPU"


def system_call_filter() -> str:
    """Allow the few calls above, fail all others with EPERM, kill on a foreign instruction set.

    The last layer, since none of the others could be set up under it.
    """
    filters, allowed = _filter()
    header = struct.pack("HxxxxxxP", len(filters) // 8, ctypes.addressof(filters))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header, len(header)))
    return f"{allowed} system calls allowed"


@functools.cache
def _filter() -> tuple[ctypes.Array[ctypes.c_char], int]:
    """The BPF program, and how many calls it allows.

    It reads struct seccomp_data: call number at 0, architecture at 4, arguments from 16.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ALLOWED:
        raise LookupError(f"no table of system calls for {sys.platform} on {machine}")
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000  # ALLOW, ERRNO | EPERM, KILL_PROCESS

    def step(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, k)

    steps = [step(load, 4), step(equal, _AUDIT_ARCH[machine], 1, 0), step(answer, kill), step(load, 0)]
    for number in _ALLOWED[machine].values():
        steps += [step(equal, number, 0, 1), step(answer, allow)]
    for number in _ALLOWED_WITHOUT_EXEC[machine].values():  # the third argument is the protection
        steps += [step(equal, number, 0, 4), step(load, 16 + 8 * 2), step(any_bit, _PROT_EXEC, 1, 0)]
        steps += [step(answer, allow), step(answer, refuse)]
    program = b"".join([*steps, step(answer, refuse)])
    allowed = len(_ALLOWED[machine]) + len(_ALLOWED_WITHOUT_EXEC[machine])
    return ctypes.create_string_buffer(program, len(program)), allowed


def address_space() -> int:
    """Bytes of address space that this process has now, or 0 where /proc does not tell. Not from within the jail."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _prctl(option: int, argument: int, more: ctypes.Array[ctypes.c_char] | None = None) -> None:
    _check(
        _libc().prctl(option, ctypes.c_ulong(argument), more or ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    )


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(word) if isinstance(word, int) else ctypes.c_char_p(word) for word in arguments]
    return _check(_libc().syscall(ctypes.c_long(number), *words))


@functools.cache
def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise OSError(f"not offered by {sys.platform}")
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
