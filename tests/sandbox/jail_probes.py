"""Ways out of the jail, to be tried with full Python in a real child: what `test_jail.py` and its neighbour share.

Each is chosen to do no harm where it succeeds. `call` is a raw system call by its x86-64 number, PATH, FILE,
PWNED and TRUE are addresses of names, HERE of a zeroed page, PARTS of a list of one piece of memory.
"""

from __future__ import annotations

import errno
import os
import platform
from pathlib import Path
from typing import Any

from process_kit import zygote_of
from sandbox_kit import Runner

from micro_agi_kernel.sandbox import jail

OFFERS_SECCOMP = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
ON_X86 = platform.machine() == "x86_64"
NO = {errno.EPERM, errno.EACCES}
"""What a layer that forbids something answers."""

PROBES: dict[str, dict[str, str]] = {
    "files": {
        "open a file": "open('/etc/passwd')",
        "open a folder": "os.open('/', os.O_RDONLY)",
        "open the null device": "os.open('/dev/null', os.O_WRONLY)",
        "open a path only": "os.open('/etc/passwd', os.O_PATH)",
        "open": "call(2, FILE, 0, 0)",
        "openat2": "call(437, -100, FILE, HERE, 24)",
        "creat": "call(85, PWNED, 0o600)",
        "own memory as a file": "open('/proc/self/mem', 'r+b')",
        "own maps": "open('/proc/self/maps')",
        "memory of main": "open(f'/proc/{MAIN}/mem', 'rb')",
        "environment of main": "open(f'/proc/{MAIN}/environ', 'rb')",
        "descriptors of main": "os.listdir(f'/proc/{MAIN}/fd')",
        "write a file": "open('/tmp/pwned', 'w')",
        "a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
        "list a folder": "os.listdir('/')",
        "open by handle": "call(304, -100, HERE, 0)",
        "open a tree": "call(428, -100, PATH, 1)",
        "watch a folder": "call(254, call(294, 0), PATH, 1)",
        "fanotify": "call(300, 0, 0)",
    },
    "names": {
        "stat": "os.stat('/')",
        "lstat": "os.lstat('/etc/passwd')",
        "statx": "call(332, -100, PATH, 0, 0xFFF, HERE)",
        "statfs": "os.statvfs('/')",
        "access": "call(21, PATH, 4)",
        "readlink": "os.readlink('/proc/self/exe')",
        "getcwd": "os.getcwd()",
        "chdir": "os.chdir('/')",
        "chroot": "os.chroot('/')",
        "unlink": "os.unlink('/tmp/pwned')",
        "mkdir": "os.mkdir('/tmp/pwned')",
        "rename": "os.rename('/tmp/pwned', '/tmp/pwned2')",
        "link": "os.link('/etc/passwd', '/tmp/pwned')",
        "symlink": "os.symlink('/etc/passwd', '/tmp/pwned')",
        "mknod": "os.mknod('/tmp/pwned')",
        "mkfifo": "os.mkfifo('/tmp/pwned')",
        "truncate": "os.truncate('/tmp/pwned', 0)",
        "chmod": "os.chmod('/no/such/file', 0o700)",
        "chown": "os.chown('/no/such/file', 0, 0)",
        "utime": "os.utime('/no/such/file')",
        "getxattr": "os.getxattr('/', 'user.x')",
        "handle of a name": "call(303, -100, PATH, HERE, HERE, 0)",
        "fstat": "os.fstat(0)",
    },
    "sockets": {
        "TCP": "socket.socket()",
        "TCP, IPv6": "socket.socket(socket.AF_INET6)",
        "UDP": "socket.socket(type=socket.SOCK_DGRAM)",
        "raw": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "packet": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "Unix": "socket.socket(socket.AF_UNIX)",
        "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "vsock": "socket.socket(40, socket.SOCK_STREAM)",
        "kernel crypto": "socket.socket(38, socket.SOCK_SEQPACKET)",
        "pair": "socket.socketpair()",
        "connect on a descriptor": "call(42, 0, HERE, 16)",
        "bind on a descriptor": "call(49, 0, HERE, 16)",
        "listen on the pipe": "call(50, PIPE, 1)",
        "send a descriptor": "call(46, PIPE, HERE, 0)",
        "receive a descriptor": "call(47, PIPE, HERE, 0x40)",
        "sendto": "call(44, PIPE, HERE, 0, 0, 0, 0)",
        "socket options": "call(55, PIPE, 1, 17, HERE, HERE)",
        "who is at the other end": "call(52, PIPE, HERE, HERE)",
    },
    "descriptors": {
        "pipe": "os.pipe()",
        "dup": "os.dup(0)",
        "dup2": "os.dup2(0, 1)",
        "fcntl": "call(72, 0, 1, 0)",
        "ioctl": "call(16, 0, 0x5401, HERE)",
        "seek": "os.lseek(0, 0, 0)",
        "memfd": "os.memfd_create('x')",
        "secret memfd": "call(447, 0)",
        "eventfd": "call(290, 0, 0)",
        "epoll": "call(291, 0)",
        "signalfd": "call(289, -1, HERE, 8, 0)",
        "timerfd": "call(283, 1, 0)",
        "splice": "call(275, 0, 0, PIPE, 0, 1, 0)",
        "sendfile": "call(40, PIPE, 0, 0, 1)",
        "copy_file_range": "call(326, 0, 0, PIPE, 0, 1, 0)",
        "vectored write": "os.writev(0, [b''])",
        "write at": "os.pwrite(0, b'', 0)",
    },
    "processes": {
        "fork": "os.fork() or os._exit(0)",
        "fork by number": "call(57) or os._exit(0)",
        "clone": "call(56, 17, 0, 0, 0, 0) or os._exit(0)",
        "clone3": "call(435, HERE, 88) or os._exit(0)",
        "clone into new namespaces": "call(56, 0x7E020000 | 17, 0, 0, 0, 0) or os._exit(0)",
        "thread": "__import__('_thread').start_new_thread(print, ())",
        "exec": "os.execv('/bin/true', ['true'])",
        "execveat": "call(322, -100, TRUE, 0, 0, 0)",
        "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
        "unshare": "call(272, 0x10000000)",
        "enter a namespace": "call(308, 0, 0)",
        "new session": "os.setsid()",
        "process group": "os.setpgid(0, 0)",
    },
    "other processes": {
        "signal the zygote": "os.kill(ZYGOTE, 0)",
        "signal main": "os.kill(MAIN, 0)",
        "signal all": "os.kill(-1, 0)",
        "signal a thread of main": "call(234, MAIN, MAIN, 0)",
        "signal a thread": "call(200, MAIN, 0)",
        "queue a signal": "call(129, os.getpid(), 0, HERE)",
        "pidfd of main": "os.pidfd_open(MAIN)",
        "signal a pidfd": "call(424, 0, 0, 0, 0)",
        "take a descriptor of main": "call(438, 0, 0, 0)",
        "ptrace main": "call(101, 16, MAIN, 0, 0)",
        "seize main": "call(101, 0x4206, MAIN, 0, 0)",
        "be traced": "call(101, 0, 0, 0, 0)",
        "read memory of main": "call(310, MAIN, PARTS, 1, PARTS, 1, 0)",
        "write memory of main": "call(311, MAIN, PARTS, 1, PARTS, 1, 0)",
        "compare with main": "call(312, MAIN, MAIN, 1, 0, 0)",
        "limits of main": "resource.prlimit(MAIN, resource.RLIMIT_CPU)",
        "priority of main": "os.setpriority(os.PRIO_PROCESS, MAIN, 19)",
        "processors of main": "os.sched_setaffinity(MAIN, [0])",
        "message queue": "call(68, 0, 0o1600)",
        "semaphores": "call(64, 0, 1, 0o1600)",
    },
    "executable memory": {
        "map": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "map to execute only": "call(9, 0, 4096, 4, 0x22, -1, 0)",
        "change": "call(10, call(9, 0, 4096, 3, 0x22, -1, 0), 4096, 5)",
        "change, and grow": "call(10, call(9, 0, 4096, 3, 0x22, -1, 0), 4096, 0x1000005)",
        "change with a key": "call(329, HERE, 4096, 5, -1)",
        "key": "call(330, 0, 0)",
        "shared memory": "call(30, call(29, 0, 4096, 0o1600), 0, 0o100000)",
        "remap a file": "call(216, HERE, 4096, 0, 0, 0)",
        "personality that makes all executable": "call(135, 0x0400000)",
        "personality, in full": "call(135, 0xFFFFFFFF)",
        "segments": "call(154, 1, HERE, 16)",
        "segment base": "call(158, 0x1003, HERE)",
    },
    "the kernel": {
        "io_uring": "call(425, 1, HERE)",
        "io_uring_enter": "call(426, 0, 0, 0, 0, 0, 0)",
        "aio": "call(206, 1, HERE)",
        "bpf": "call(321, 0, HERE, 48)",
        "userfaultfd": "call(323, 1)",
        "perf": "call(298, HERE, 0, -1, -1, 0)",
        "a key": "call(248, HERE, HERE, 0, 0, -2)",
        "request a key": "call(249, HERE, HERE, 0, 0)",
        "keyctl": "call(250, 0, -2, 1)",
        "mount": "call(165, 0, 0, 0, 0, 0)",
        "unmount": "call(166, HERE, 0)",
        "fsopen": "call(430, HERE, 0)",
        "pivot_root": "call(155, HERE, HERE)",
        "load a module": "call(175, HERE, 0, HERE)",
        "kexec": "call(246, 0, 0, 0, 0)",
        "reboot": "call(169, 0, 0, 0, 0)",
        "kernel log": "call(103, 10, 0, 0)",
        "I/O ports": "call(172, 3)",
        "swap": "call(168, HERE)",
        "accounting": "call(163, 0)",
        "uname": "os.uname()",
        "sysinfo": "call(99, HERE)",
        "set a clock": "time.clock_settime(time.CLOCK_MONOTONIC, 0)",
        "adjust the clock": "call(159, HERE)",
        "host name": "call(170, HERE, -1)",
        "x32 open": "call(0x40000000 | 2, FILE, 0, 0)",
        "x32 write": "call(0x40000000 | 1, 0, HERE, 0)",
        "x32 exec": "call(0x40000000 | 520, FILE, 0, 0)",
        "a call beyond all numbers": "call(100000)",
        "a call with the highest number": "call(-1)",
    },
    "itself": {
        "signal itself": "os.kill(os.getpid(), 0)",
        "set a user": "os.setuid(65534)",
        "set groups": "call(116, 0, 0)",
        "capabilities": "call(126, HERE, HERE)",
        "raise a limit": "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
        "raise a limit by number": "call(302, 0, 7, HERE, 0)",
        "outlive its parent": "call(157, 1, 0, 0, 0, 0)",
        "be dumpable": "call(157, 4, 1, 0, 0, 0)",
        "be traced by all": "call(157, 0x59616D61, -1, 0, 0, 0)",
        "filter off": "call(157, 22, 0, 0, 0, 0)",
        "another filter": "call(317, 1, 0, HERE)",
        "landlock": "call(444, 0, 0, 1)",
        "timer": "call(222, 1, 0, HERE)",
        "interval timer": "call(38, 0, HERE, 0)",
        "getuid by number": "call(102)",
        "getppid by number": "call(110)",
    },
}

IS_OPEN = """
import select
def is_open(fd):
    poll = select.poll()
    poll.register(fd, 0)
    return not any(event & select.POLLNVAL for _, event in poll.poll(0))
"""
TRY = (
    IS_OPEN
    + """
import ctypes, mmap, os, resource, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
MAIN, ZYGOTE = {main}, {zygote}
keep = [ctypes.create_string_buffer(text, 4096) for text in (b"/", b"/etc/passwd", b"", b"/tmp/pwned", b"/bin/true")]
PATH, FILE, HERE, PWNED, TRUE = map(ctypes.addressof, keep)
keep.append(ctypes.create_string_buffer(struct.pack("PP", HERE, 8)))  # one part: eight bytes at HERE
PARTS = ctypes.addressof(keep[-1])
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    found = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    if found == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return found
PIPE = next(fd for fd in range(3, 1024) if is_open(fd))
result = {{}}
for name, source in {sources!r}.items():
    try:
        eval(source)
        result[name] = "PWN"
    except OSError as error:
        result[name] = error.errno
    except (RuntimeError, ValueError) as error:  # what _thread and resource make of it
        said = str(error)
        result[name] = 1 if said in ("can't start new thread", "not allowed to raise maximum limit") else said
"""
)


def landlock_version() -> int:
    """Of this kernel's Landlock; 0 where it has none."""
    try:
        return jail._syscall(jail._LANDLOCK_CREATE_RULESET, None, 0, jail._LANDLOCK_VERSION)
    except OSError:
        return 0


async def attempt(lua: Runner, sources: dict[str, str]) -> dict[str, Any]:
    """Try each in one child: name -> the error number, or "PWN" where it succeeded."""
    await lua.value("return 1")
    source = TRY.format(main=os.getpid(), zygote=zygote_of(lua.sandbox).pid, sources=sources)
    found = await lua.python(source)
    assert isinstance(found, dict) and found.keys() == sources.keys()
    return found


def every_probe() -> dict[str, str]:
    return {f"{group}: {name}": source for group, probes in PROBES.items() for name, source in probes.items()}
