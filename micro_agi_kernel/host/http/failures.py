"""What a request that came to nothing tells its tool."""

from __future__ import annotations

from micro_agi_kernel.errors import ErrorKind, Refused


def network_failure(message: str, *, retryable: bool = True) -> Refused:
    """The network's or the server's doing; `retryable` says whether another try may go better."""
    return Refused(ErrorKind.INTERNAL, message, retryable=retryable)


def too_late(origin: str, seconds: float) -> Refused:
    return network_failure(f"no complete answer from {origin} in {seconds:g} s")


def stream_closed() -> Refused:
    return Refused(ErrorKind.INTERNAL, "the stream is closed", retryable=False)
