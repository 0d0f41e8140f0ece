"""The turn of benchmarks/agent.py by llm, streamed."""

from __future__ import annotations

from _trip import PROMPT, TOOLS, URL, report
from llm.default_plugins.openai_models import Chat

model = Chat("gpt-5.1", key="anything", api_base=URL, supports_tools=True)


async def turn() -> None:
    for _ in model.chain(PROMPT, system="You plan trips. Never make up a fact.", tools=TOOLS):
        pass


report(turn)
