"""The log of a session, a file that says all that was asked, answered, run and shown in it.

Written: `writer` (the file), `lines` (one of them), `keys` (taken out of it), `recorder` (a model whose requests and
answers get in). Read back, though anybody may have written it: `fields` (of a line), `turns` (the cells of a session).
`state` is where a session stands between two cells; `resumable`, which needs the agent to read it, stands above.
"""
