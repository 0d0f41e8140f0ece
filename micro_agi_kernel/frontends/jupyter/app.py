"""Starts the kernel: sockets from the connection file, ipykernel's service threads, the main loop.

ipykernel's own launcher imports its IPython kernel and shell, makes a profile folder and takes over
stdout; this one does what a kernel without Python cells needs. Whatever a library prints goes to the
Jupyter server's log; what a person sees is sent by the sinks alone.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import Any

import zmq
from ipykernel.control import ControlThread
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import IOPubThread
from ipykernel.parentpoller import ParentPollerUnix
from jupyter_client.connect import ConnectionFileMixin
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream

from micro_agi_kernel.frontends.jupyter.kernel import MicroAgiKernel

_LINGER = 1000
"""Milliseconds that a closing socket may spend on its last messages."""


class KernelApp(ConnectionFileMixin):
    """One kernel process: binds the ports that `connection_file` names, runs until shutdown."""

    def __init__(self, connection_file: str, kernel_class: type[MicroAgiKernel]) -> None:
        super().__init__(connection_file=connection_file)
        self.load_connection_file()
        # Two contexts: the heartbeat must beat while the other one frees large messages under the GIL.
        self.context = zmq.Context()
        self.heartbeat = Heartbeat(
            zmq.Context(),
            (self.transport, self.ip, self.hb_port),
            curve_publickey=self.curve_publickey,
            curve_secretkey=self.curve_secretkey,
        )
        self.heartbeat.start()
        self.control_thread = ControlThread(daemon=True)
        self.shell = self._bind(zmq.ROUTER, self.shell_port)
        self.control = self._bind(zmq.ROUTER, self.control_port)
        self.stdin = self._bind(zmq.ROUTER, self.stdin_port)
        self.iopub_thread = IOPubThread(self._bind(zmq.XPUB, self.iopub_port), session=self.session)
        self.iopub_thread.start()
        self.kernel = kernel_class(
            parent=self,
            log=self.log,
            session=self.session,
            shell_stream=ZMQStream(self.shell),
            control_stream=ZMQStream(self.control, self.control_thread.io_loop),
            control_thread=self.control_thread,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_thread.background_socket,
            stdin_socket=self.stdin,
        )

    def _bind(self, kind: int, port: int) -> zmq.Socket[bytes]:
        assert self.context is not None
        socket: zmq.Socket[bytes] = self.context.socket(kind)
        socket.linger = _LINGER
        if kind == zmq.ROUTER:
            socket.router_handover = 1  # a client that reconnects takes its place over
        if self.curve_secretkey is not None:
            socket.curve_secretkey = self.curve_secretkey
            socket.curve_publickey = self.curve_publickey
            socket.curve_server = True
        separator = ":" if self.transport == "tcp" else "-"
        socket.bind(f"{self.transport}://{self.ip}{separator}{port}")
        return socket

    def run(self) -> None:
        """Serve until a shutdown request; a kernel whose starter died ends by itself."""
        # Set by the process that started the kernel: Jupyter's protocol, not a setting of ours.
        starter = int(os.environ.get("JPY_PARENT_PID") or 0)
        if starter > 1:
            ParentPollerUnix(parent_pid=starter).start()
        self.kernel.start()
        signal.signal(signal.SIGINT, self.kernel.on_sigint)
        self.control_thread.start()
        IOLoop.current().start()
        self._close()

    def _close(self) -> None:
        self.control_thread.stop()
        self.control_thread.join()
        self.iopub_thread.stop()
        self.iopub_thread.close()
        for socket in (self.shell, self.control, self.stdin):
            socket.close()
        self.heartbeat.context.term()
        if self.context is not None:
            self.context.term()


def main(argv: list[str] | None = None, kernel_class: type[MicroAgiKernel] = MicroAgiKernel) -> None:
    """Run one kernel; `argv` is the command line that `kernel.json` spells."""
    parser = argparse.ArgumentParser(prog="python -m micro_agi_kernel", description="The Micro AGI Jupyter kernel.")
    parser.add_argument("-f", dest="connection_file", required=True, help="connection file written by Jupyter")
    arguments: Any = parser.parse_args(argv)
    logging.basicConfig(format="micro-agi: %(message)s")  # warnings only; traitlets alone would drop them
    try:
        app = KernelApp(arguments.connection_file, kernel_class)
    except (OSError, ValueError, zmq.ZMQError) as error:
        sys.exit(f"micro-agi: no kernel from the connection file {arguments.connection_file}: {error}")
    app.run()
