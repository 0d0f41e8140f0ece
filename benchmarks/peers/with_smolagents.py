"""The turn of benchmarks/agent.py by smolagents, streamed, without what it prints."""

from __future__ import annotations

from _trip import PROMPT, TOOLS, URL, report
from smolagents import LogLevel, OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel("gpt-5.1", api_base=URL, api_key="anything")
tools = [tool(function) for function in TOOLS]


async def turn() -> None:
    agent = ToolCallingAgent(tools=tools, model=model, stream_outputs=True, verbosity_level=LogLevel.OFF)
    for _ in agent.run(PROMPT, stream=True):
        pass


report(turn)
