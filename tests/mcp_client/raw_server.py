"""An MCP server without the SDK: JSON-RPC by hand over standard input and output, and it misbehaves as it is told.

    python raw_server.py WAY [FILE]

FILE gets a line for each thing that a test wants to know.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time

WAY = sys.argv[1]
FILE = sys.argv[2] if len(sys.argv) > 2 else ""
LISTS = 0


def note(text):
    if FILE:
        with open(FILE, "a") as file:
            file.write(text + "\n")


def say(**message):
    raw(json.dumps({"jsonrpc": "2.0", **message}))


def raw(text):
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)


def tool(name, description="Does it.", **schema):
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}, **schema}}


def nested(depth):
    schema = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


ODD = [
    tool("fine"),
    tool("fine", "Another of the name."),
    tool("a/b", "Name with a slash."),
    tool("a_b", "The same name then."),
    tool(""),
    tool("x" * 200),
    tool("\x1b[31mred"),
    tool("with space"),
    tool("con"),
    tool("1st"),
    tool("-dash"),
    tool("deep", properties={"a": nested(60)}),
    tool("large", properties={f"p{n}": {"type": "string", "description": "x" * 100} for n in range(400)}),
    tool("elsewhere", properties={"a": {"$ref": "https://example.com/schema.json"}}),
    tool("nowhere", properties={"a": {"$ref": "#/$defs/none"}}),
    tool("argument", properties={"a b": {}}),
    tool("hidden", properties={"a": {"enum": ["x\u202ey"]}}),
    tool("pattern", properties={"a": {"type": "string", "pattern": "(a+)+\\1("}}),
    tool("bidi", "Turns \u202e text \x1b]0;x\x07 and hides \U000e0041 some." + "y" * 10_000),
    tool("any", properties={"a": {"type": "string", "description": "Say \u202e it."}}, anyOf=[{"required": ["a"]}]),
]

WRONG = [
    tool("fine"),
    7,
    {},
    {"name": ["x"], "inputSchema": {"type": "object"}},
    {"name": "none"},
    {**tool("text"), "inputSchema": "{}"},
    {**tool("described"), "description": {"a": 1}},
    tool("nullable", type=["object", "null"]),
    tool("required", required="x"),
    tool("no_properties", properties=None),
    {"name": "untyped", "inputSchema": {}},
    {**tool("annotated"), "annotations": {"readOnlyHint": "perhaps"}, "title": 3, "icons": 4, "_meta": 5},
    {**tool("output"), "outputSchema": {"type": "array"}},
]


def listed(params):
    global LISTS
    LISTS += 1
    note(f"list {LISTS}")
    if WAY == "odd":
        return {"tools": ODD}
    if WAY == "wrong":
        page = int(params.get("cursor", 0))
        return {"tools": WRONG[page : page + 4], "nextCursor": str(page + 4) if page + 4 < len(WRONG) else None}
    if WAY == "endless":
        return {"tools": [tool(f"tool_{LISTS}_{n}") for n in range(20)], "nextCursor": f"page{LISTS}"}
    if WAY == "malformed":
        return {"tools": 7}
    if WAY == "empty":
        return {"tools": [{}] * 20_000}
    if WAY == "endless_list":
        return {"tools": [{}] * 1_000_000}
    if WAY == "changes":
        return {"tools": [tool("wait"), tool(f"version_{LISTS}")]}
    if WAY == "many":
        return {"tools": [tool(f"tool_{n}", "z" * 1_500) for n in range(100)]}
    return {"tools": [tool("echo"), tool("wait"), tool("die"), tool("other")]}


def called(id, name, arguments):
    note(f"call {name}")
    if name == "die":
        os._exit(3)
    if name == "wait":
        if WAY == "changes":
            for _ in range(500):
                say(method="notifications/tools/list_changed")
            say(id=id, result={"content": []})
        return
    if WAY == "huge":
        raw("x" * (5 << 20))
        return
    if WAY == "flood":
        line = json.dumps(
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        )
        while True:
            raw(line)
    if WAY == "broken":
        for text in ("", "{", "[]", "nonsense", '{"jsonrpc":"2.0","id":99,"result":{}}', "[" * 100_000, '{"id":' * 500):
            raw(text)
        raw(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"content": "text"}}))
        return
    if WAY == "parts":  # the message is the caller's
        given = ",".join([arguments["part"]] * arguments["times"])
        raw(arguments["form"].replace("ID", json.dumps(id)).replace("PARTS", given))
        return
    if WAY == "error":
        say(id=id, error={"code": -32602, "message": "no \x1b[31m such \u202e thing\n" + "m" * 3_000})
        return
    if WAY == "failed":
        text = "no \x1b[31m such \u202e thing\n" + "m" * 100_000
        say(id=id, result={"content": [{"type": "text", "text": text}], "isError": True})
        return
    if WAY == "nan":
        raw(
            json.dumps(
                {"jsonrpc": "2.0", "id": id, "result": {"content": [], "structuredContent": {"a": float("nan")}}}
            )
        )
        return
    if WAY == "asks":
        for n, method in enumerate(("sampling/createMessage", "elicitation/create", "roots/list", "nonsense/x")):
            messages = [{"role": "user", "content": {"type": "text", "text": "hi"}}]
            schema = {"type": "object", "properties": {}}
            params = {"messages": messages, "maxTokens": 9, "message": "key?", "requestedSchema": schema}
            say(id=f"s{n}", method=method, params=params if "list" not in method else {})
        answers = [json.loads(sys.stdin.readline()) for _ in range(4)]
        said = [[answer["id"], "error" in answer] for answer in answers]
        say(id=id, result={"content": [{"type": "text", "text": json.dumps(sorted(said))}]})
        return
    if WAY == "blocks":
        png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 100).decode()
        content = [
            {"type": "text", "text": "one"},
            {"type": "image", "mimeType": "image/png", "data": png},
            {"type": "image", "mimeType": "image/png", "data": "bm8="},
            {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "resource_link", "uri": "https://example.com/\u202e", "name": "x"},
        ]
        say(id=id, result={"content": content})
        return
    if WAY == "environment":
        say(id=id, result={"content": [], "structuredContent": dict(os.environ)})
        return
    say(id=id, result={"content": [{"type": "text", "text": json.dumps(arguments)}]})


def main():
    note(f"pid {os.getpid()}")
    if WAY == "mute":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
        note(f"pid {child.pid}")
        time.sleep(60)
    if WAY == "dead":
        sys.stderr.write("planted words on standard error\n")
        sys.exit(4)
    for line in sys.stdin:
        message = json.loads(line)
        method, id, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            info = {"name": "raw", "version": "1"}
            capabilities = {"tools": {"listChanged": True}}
            version = params["protocolVersion"] if WAY != "version" else "1999-01-01"
            say(id=id, result={"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
        elif method == "tools/list":
            say(id=id, result=listed(params))
        elif method == "tools/call":
            called(id, params["name"], params.get("arguments"))
        elif method == "notifications/cancelled":
            note("cancelled")
        elif id is not None and method:
            say(id=id, error={"code": -32601, "message": "no such method"})


threading.stack_size(1 << 20)
main()
