"""Says whether a prompt is complete: what a console asks before it sends one."""

from __future__ import annotations


def goes_on(text: str) -> bool:
    """Is the prompt plainly unfinished: does its last line end in a backslash, or is a code fence open?

    A cell of `%%name` goes on until an empty line ends it: what is below the first line belongs to the command.
    """
    if text.lstrip().startswith("%%"):
        return bool(text.rpartition("\n")[2].strip())
    return text.endswith("\\") or _fence_is_open(text)


def _fence_is_open(text: str) -> bool:
    fence = ""
    for line in text.splitlines():
        stripped = line.strip()
        mark = stripped[: len(stripped) - len(stripped.lstrip("`"))]
        if fence:
            if len(mark) >= len(fence) and mark == stripped:
                fence = ""
        elif len(mark) >= 3 and "`" not in stripped[len(mark) :]:
            fence = mark
    return bool(fence)
