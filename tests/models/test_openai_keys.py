"""The OpenAI provider over real HTTP: where the key goes, and that it shows nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator

import pytest
from model_server import CUT, ModelServer, Reply, delta, failure, raw, text
from provider_kit import HELLO, KEY, connected, said, spec_of

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.models import open_model
from micro_agi_kernel.models.catalog import Provider
from micro_agi_kernel.models.openai import PROVIDER


def every_failure() -> Iterator[Reply]:
    for status in (400, 401, 403, 404, 413, 422, 429, 500):
        yield failure(status, f"you sent Bearer {KEY}", headers={"Retry-After": "3600"})
    yield raw(KEY.encode(), status=418, headers={"Content-Type": "text/plain"})
    yield raw(KEY.encode())
    yield Reply((f"data: {KEY}\n\n".encode(),))
    yield Reply((f"data: {json.dumps({'error': {'message': KEY}})}\n\n".encode(),))
    yield Reply((delta(content="x"), CUT))


def locals_of(error: BaseException) -> list[str]:
    """What a traceback with local variables shows of our own frames."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [repr(frame.locals) for frame in frames if "micro_agi_kernel" in frame.filename]
    assert ours
    return ours


async def test_the_key_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    for reply in every_failure():
        with ModelServer(lambda body, reply=reply: reply) as server:  # type: ignore[misc]
            async with connected(server.url) as model:
                seen += [repr(model), repr(vars(model))]
                try:
                    async for chunk in model.stream(HELLO):
                        seen.append(repr(chunk))
                except ModelError as error:
                    seen += [str(error), repr(error), "".join(traceback.format_exception(error)), *locals_of(error)]
                assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    seen += [record.getMessage() for record in caplog.records]
    assert len(seen) > 40
    assert not [line for line in seen if KEY in line]


@pytest.mark.parametrize("key", ["sk-with\x07bell", "sk with space", "sk-ümlaut"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_API_KEY holds characters") as caught:
        open_model(spec_of(), {"OPENAI_API_KEY": key}.get)
    assert key not in str(caught.value)


async def test_line_break_around_the_key_is_taken_off() -> None:
    with ModelServer([text("ok")]) as server:
        model = open_model(spec_of(), {"OPENAI_API_KEY": f" {KEY}\n", "OPENAI_BASE_URL": server.url}.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        await model.close()
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_server_of_an_entry_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client itself reads these; only the openai package's own names matter here."""
    planted = {
        "OPENAI_API_KEY": KEY, "OPENAI_ADMIN_KEY": KEY, "OPENAI_ORG_ID": KEY, "OPENAI_PROJECT_ID": KEY,
        "OPENAI_CUSTOM_HEADERS": f"X-Secret: {KEY}\nAuthorization: Bearer {KEY}",
    }  # fmt: skip
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    with ModelServer([text("ok")]) as server:
        provider = Provider(PROVIDER, "local", base_url=server.url, api_key_env="none")
        model = open_model(spec_of(provider), planted.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        await model.close()
        [request] = server.requests
    assert KEY not in json.dumps(dict(request.headers))
    assert request.headers["authorization"] == "Bearer none"


async def test_no_key_and_a_server_of_ones_own() -> None:
    with ModelServer([text("ok"), failure(401)]) as server:
        model = open_model(spec_of(), {"OPENAI_BASE_URL": server.url}.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        with pytest.raises(ModelError, match=r"wants a key .*: set OPENAI_API_KEY"):
            await anext(aiter(model.stream(HELLO)))
        await model.close()
        assert server.requests[0].headers["authorization"] == "Bearer none"
