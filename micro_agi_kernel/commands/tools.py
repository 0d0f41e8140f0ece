"""Commands about tools: which the agent has, what is known of one, loading and calling one by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from micro_agi_kernel.agent.calls import LOAD_TOOL
from micro_agi_kernel.commands.calls import told_call
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, Refused
from micro_agi_kernel.events import Notice, ToolLoaded
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.markdown_text import code, fenced, prose, table
from micro_agi_kernel.naming import named, need_there
from micro_agi_kernel.session import Session
from micro_agi_kernel.tool_page import server_tool_page, tool_page
from micro_agi_kernel.values import Json, as_value, parse_json, shorten
from micro_agi_kernel.workspace import Workspace

MAX_TEXT = 200
"""Characters of a description."""

MAX_HITS = 10
"""Pages that a search shows."""


async def tools(session: Session, context: CallContext) -> str:
    """Show the tools that the agent can call now: its own, those that were loaded, and those of MCP servers."""
    servers = session.workspace.servers
    for line in await servers.ready():
        context.emit(Notice(line))
    agent = await session.agent()
    there = await asyncio.to_thread(agent.tools)
    loaded = set(agent.loaded)
    rows = [
        (
            code(name),
            code(str(tool.id)),
            "yes" if tool.id in loaded else "of a server" if servers.entry(tool.id) else "",
            prose(shorten(tool.spec.description, MAX_TEXT)),
        )
        for name, tool in there.items()
    ]
    shown = table(("name", "id", "loaded", "what it does"), rows) if rows else "The agent has no tools."
    states = (f"- {code(name)} {prose(state)}" for name, state in servers.states.items())
    return "\n".join((shown, "", *states)).rstrip()


async def tool(session: Session, context: CallContext, name: str) -> str:
    """Show what the tool NAME takes, where it comes from, what it cost, how it was used, and its source.

    Of a tool of an MCP server it shows what the server says of it.
    """
    if (entry := await _of_server(session, name)) is not None:
        return server_tool_page(entry)
    return await asyncio.to_thread(page_of, session.workspace, name)


def page_of(workspace: Workspace, name: str) -> str:
    """All that is known of a tool, as the notebook sees it. Blocks. Raises Refused and EntryError for what is none."""
    page = tool_page(workspace.registry, workspace.uses, name, workspace.pin.current())
    return f"{page}\n\n{workspace.pin.said_of('the tool')}".rstrip()


async def load(session: Session, context: CallContext, id: str) -> str:
    """Load the tool ID into the agent, under the policies, as if it had done so itself."""
    meant = await _meant(session, id, tools=True)
    agent = await session.agent()
    loaded = await agent.load(meant, context.approver)
    if isinstance(loaded, CallError):
        raise Refused(loaded.kind, loaded.message)
    context.emit(ToolLoaded(loaded.id, loaded.spec.name))
    return f"The agent has {code(str(loaded.id))} as {code(loaded.spec.name)}."


async def call(session: Session, context: CallContext, id: str, *, json: str = "{}") -> str:
    """Call the entry ID with the input JSON; what it shows comes as it runs, and then what it gives.

    The call is yours and not the agent's: its conversation knows nothing of it. What the tool does is up to the
    policies, as ever.
    """
    entry = await _meant(session, id)
    if entry == LOAD_TOOL:
        raise Refused(ErrorKind.INVALID, "a call of yours loads nothing into the agent: write it as %load ID")
    input = as_value(_read_json(id, json))
    return await told_call(
        context,
        str(entry),
        json,
        lambda on_output: session.workspace.call(entry, input, replace(context, on_output=on_output)),
    )


async def _of_server(session: Session, said: str) -> Entry | None:
    """The tool of that name or id, if it is an MCP server's. Raises Refused for an id of one that does not have it."""
    servers, (namespace, _, _) = session.workspace.servers, said.partition(":")
    found = await servers.find(said)
    if found is None and (state := servers.states.get(namespace)) is not None:
        line = f"there is no tool {shorten(said)}: {namespace} {state}; %tools shows those of all servers"
        raise Refused(ErrorKind.NOT_FOUND, line)
    return found


async def _meant(session: Session, said: str, *, tools: bool = False) -> EntryId:
    """The entry of that name or id that the notebook sees. Raises Refused and EntryError."""
    if (entry := await _of_server(session, said)) is not None:
        return entry.id

    def in_registry() -> EntryId:
        at = session.workspace.pin.current()
        id = named(session.workspace.registry, said, at, tools=tools, cell=True)
        need_there(at, id, tools=tools, cell=True)
        return id

    return await asyncio.to_thread(in_registry)


def _read_json(id: str, text: str) -> Json:
    """The input of a call of `id`."""
    try:
        return parse_json(text, "the input is no JSON")
    except EntryError as error:
        example = f'%call {shorten(id)} {{"name": "Ann"}}'
        raise Refused(ErrorKind.INVALID, f"{error}; write it as {example}") from error


async def docs(session: Session, context: CallContext, *, query: str) -> str:
    """Search the documentation that the agent reads for QUERY, or show the page whose path that is.

    Of `%docs lua/core/time` the page is shown, of `%docs time zone` the pages that have the words.
    """
    service = session.workspace.docs
    index = await asyncio.to_thread(service.index)
    if "/" in query or query in index.paths:
        return index.page(query)
    hits = await asyncio.to_thread(index.search, query, MAX_HITS)
    if not hits:
        asked = f" The agent asks {code(service.remote)} then." if service.remote else ""
        return f"Nothing found for {code(query)}.{asked}"
    return "\n\n".join(f"{code(f'%docs {hit.path}')}\n\n{fenced(hit.excerpt, 'markdown')}" for hit in hits)
