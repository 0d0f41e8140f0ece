"""Headers by which a server takes a request for one of another method: a yes for reading is none for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from house_kit import ALLOW_LOOPBACK, House, create, id_of, loopback, tool
from test_approval import Person

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.http.request import DEFAULT_LIMITS, parse_request
from micro_agi_kernel.values import Value

SEND = """
local http = require("http_client")
return { handler = function(input)
  local said = {}
  for i, headers in ipairs(input.headers) do
    local response, err = http.get(input.url, { headers = headers })
    said[i] = err and err:message() or response.status_code
  end
  return said
end }
"""

DOES: list[tuple[str, dict[str, str | list[str]], str]] = [
    ("GET", {}, "GET"),
    ("head", {"X-HTTP-Method-Override": "get"}, "HEAD"),
    ("GET", {"X-HTTP-Method-Override": "delete"}, "DELETE"),
    ("GET", {"x-http-method": "MERGE"}, "MERGE"),
    ("GET", {"X-Method-Override": ["GET", "PUT"]}, "PUT"),
    ("GET", {"X_HTTP_Method_Override": "PUT"}, "PUT"),
    ("POST", {"X-HTTP-Method-Override": "GET"}, "POST"),
    ("POST", {"X-HTTP-Method-Override": "DELETE"}, "POST/DELETE"),
]


@pytest.mark.parametrize(("method", "headers", "does"), DOES)
def test_what_a_request_does(method: str, headers: dict[str, str | list[str]], does: str) -> None:
    payload = {"method": method, "url": "https://a.example/", "headers": {**headers}}
    assert parse_request(payload, DEFAULT_LIMITS).does == does  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["TRACE", "connect", "GET, DELETE", ""])
def test_what_is_no_method_is_not_sent(method: str) -> None:
    payload = {"method": "GET", "url": "https://a.example/", "headers": {"X-HTTP-Method-Override": method}}
    with pytest.raises(Refused, match=r"^headers\.X-HTTP-Method-Override: .* cannot be sent$"):
        parse_request(payload, DEFAULT_LIMITS)  # type: ignore[arg-type]


async def test_a_yes_for_reading_is_none_for_deleting(enter: Callable[..., House]) -> None:
    house, person = enter(profile="guarded"), Person("yes", "yes", "no")
    with loopback() as site:
        house.write(*create(ALLOW_LOOPBACK, tool("send", SEND, modules=["http_client"])))
        headers: list[Value] = [{"a": "b"}, {"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "HEAD"}]
        context = replace(house.context(), approver=person)
        outcome = await house.call(id_of("app.generated:send"), {"url": site.url, "headers": headers}, context)
        denied = f"not approved by the person: http_client.request on DELETE {site.url}"
        assert outcome.value == [200, denied, 200] and len(site.visits) == 2
    assert [str(question) for question in person.asked[1:]] == [
        f"http_client.request on GET/HEAD {site.url}",
        f"http_client.request on DELETE {site.url}",
    ]
    assert person.asked[2].about == f"DELETE {site.url}/"
