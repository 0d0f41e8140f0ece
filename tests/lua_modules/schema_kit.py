"""JSON Schema asked through the Lua module `json`."""

from __future__ import annotations

import json
from typing import Any

from lua_double import RunLua

DRAFTS = {
    **{str(number): f"http://json-schema.org/draft-0{number}/schema#" for number in (4, 6, 7)},
    "2019": "https://json-schema.org/draft/2019-09/schema",
    "2020": "https://json-schema.org/draft/2020-12/schema",
}
"""The names of the drafts, as `$schema` gives them."""

CHECK = """
local json = require("json")
return {handler = function(case)
  local valid, err = json.validate_string(case[1], case[2])
  return {valid, err and err:kind() or "", err and err:message() or "", err and err:retryable()}
end}
"""


async def check(run_lua: RunLua, schema: Any, data: Any) -> tuple[bool, str]:
    """Whether `data` is valid, and the message, if not."""
    ran = await run_lua(CHECK, [json.dumps(schema), json.dumps(data)])
    assert isinstance(ran.value, list)
    valid, kind, message = ran.value[:3]
    assert isinstance(valid, bool)
    assert valid or (kind == "INVALID" and ran.value[3] is False)
    return valid, str(message)
