"""The agent as an MCP client: the tools of servers that the person named in the settings.

What a server says is hostile until it is checked: words.py takes out what hides text, keys.py our keys, definitions.py
makes entries of its tools, results.py values of its answers; watch.py bounds what it may say at all, connection.py how
long it may take.
"""
