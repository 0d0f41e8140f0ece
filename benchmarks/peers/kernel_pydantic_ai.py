"""pydantic-ai-kernel with the tool of benchmarks/front_end.py as a Python function, which is how it takes tools."""

from __future__ import annotations

from pydantic_ai import Tool
from pydantic_ai_kernel import PydanticAIBaseKernel


def print_lines(lines: int) -> str:
    """Prints so many lines.

    Args:
        lines: How many.
    """
    for number in range(1, lines + 1):
        print(f"line\t{number}")
    return "printed"


class Kernel(PydanticAIBaseKernel):
    def __init__(self, **options: object) -> None:
        super().__init__(tools=[Tool(print_lines)], **options)


Kernel.run_as_main()
