"""The turn of benchmarks/agent.py by pydantic-ai, streamed."""

from _trip import PROMPT, TOOLS, URL, report
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("gpt-5.1", provider=OpenAIProvider(base_url=URL, api_key="anything"))
agent = Agent(model, tools=TOOLS, instructions="You plan trips. Never make up a fact.")


async def turn() -> None:
    async with agent.run_stream(PROMPT) as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            pass


report(turn)
