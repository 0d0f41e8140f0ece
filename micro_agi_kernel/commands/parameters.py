"""`%%parameters`: values that the prompts of a notebook refer to by name; what papermill sets from outside."""

from __future__ import annotations

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.markdown_text import code
from micro_agi_kernel.parameters import read_parameters, written
from micro_agi_kernel.session import Session


async def parameters(session: Session, context: CallContext, lines: str) -> str:
    """Set the parameters below, a line `name = JSON` for each; prompts that follow may refer to them by name.

    No model is asked now: the next prompt takes them along. A text stands in quotes, `city = "Oslo"`, and `#` begins a
    comment. Of a parameter that is set again the last value counts. `papermill` writes such a cell: what `-p` sets goes
    behind the cell that is tagged `parameters`.
    """
    values = {each.name: each.value for each in read_parameters(lines)}
    if not values:
        raise Refused(ErrorKind.INVALID, 'no parameter is set below: write name = JSON, as in city = "Oslo"')
    session.mention(f"Parameters, which the prompts refer to by name:\n{written(values)}")
    return f"For the prompts that follow: {', '.join(map(code, values))}"
