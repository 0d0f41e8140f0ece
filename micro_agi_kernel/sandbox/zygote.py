"""The zygote: an interpreter that has imported everything, holds no secret, and forks the children.

It is exec'd by main (never forked from it): own session, empty environment, isolated mode, /dev/null and one
control socket. It lives until that socket ends; its children are killed by the kernel when it does. It alone
kills and reaps them, so a process id can never have passed on to somebody else.

Control socket (SOCK_SEQPACKET, one JSON object a packet; both ends are ours and trusted):
main says `{"fork": id, "memory": bytes, "cpu": seconds}` with the child's socket attached, and `{"kill": id}`;
the zygote says once `{"ready": true}` or `{"failed": reason}`, and `{"exited": id, "status": n}` for each child
(n as in subprocess: negative for a signal).
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from typing import NoReturn

from micro_agi_kernel.sandbox import child, jail, vm
from micro_agi_kernel.sandbox.protocol import Shape

_FORK_FAILED = 255


def main(control_fd: int, modules_package: str) -> NoReturn:
    """Serve the control socket until it ends."""
    control = socket.socket(fileno=control_fd)
    try:
        machine = vm.Machine(child.preload(modules_package))
    except Exception as error:  # whatever it is, main is the one to tell the user
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"[:2000]}).encode())
        os._exit(1)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of these objects
    Zygote(control, machine).serve()


class Zygote:
    """The loop between main, on the control socket, and the children."""

    def __init__(self, control: socket.socket, machine: vm.Machine) -> None:
        self._control = control
        self._machine = machine
        self._children: dict[int, int] = {}  # id -> pid
        self._size = jail.address_space()
        self._wakeup, wakeup_end = socket.socketpair()
        self._wakeup_end = wakeup_end
        for end in (self._wakeup, wakeup_end):
            end.setblocking(False)
        signal.set_wakeup_fd(wakeup_end.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> NoReturn:
        self._say({"ready": True})
        while True:
            readable, _, _ = select.select([self._control, self._wakeup], [], [])
            if self._wakeup in readable:
                self._wakeup.recv(4096)
                self._reap()
            if self._control in readable:
                self._obey()

    def _obey(self) -> None:
        packet, fds, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not packet:
            os._exit(0)
        request = json.loads(packet)
        if "kill" in request:
            pid = self._children.get(request["kill"])
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            return
        try:
            self._fork(request["fork"], fds[0], Shape(request["memory"], request["cpu"]))
        except OSError:
            self._say({"exited": request["fork"], "status": _FORK_FAILED})
        finally:
            os.close(fds[0])

    def _fork(self, id: int, fd: int, shape: Shape) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._children[id] = pid
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._control, self._wakeup, self._wakeup_end):
                end.close()
            child.run(fd, self._machine, shape, parent, self._size)
        finally:  # never return into the zygote's loop
            os._exit(70)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            id = next(id for id, child_pid in self._children.items() if child_pid == pid)
            del self._children[id]
            self._say({"exited": id, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:  # main is gone
            os._exit(0)
