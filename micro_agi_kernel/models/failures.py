"""What went wrong with a request, as one line that says what to do, and whether to send it again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import Endpoint
from micro_agi_kernel.values import shorten

if TYPE_CHECKING:
    import openai

_TOO_LONG = re.compile(
    r"context.{0,3}(length|window|size)|maximum context|too many tokens|(prompt|input) is too long", re.I
)

_NO_TOOLS = re.compile(
    r"(not|n't) support (tool|function)|\b(tools?|function)( use| calls?| calling)? (is|are) not supported"
    r"|(tools param|tool choice) requires|unsupported param: tools|found that support tool",
    re.I,
)
"""How Ollama, OpenAI, DeepInfra, llama.cpp, vLLM, Qwen's server and OpenRouter say that they take no tools."""

_LOADING = re.compile(r"\(loading model\b", re.I)
"""How llama.cpp says, with status 503, that it will answer once it has read its model."""


class ProviderDown(ModelError):
    """Nothing came, and it is the provider's fault, not the request's: another model may answer."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: a value, so that no traceback can carry the request with its key."""

    what: str
    advice: str
    retry: bool = False
    wait: float | None = None
    """Seconds that the server asks us to wait."""
    down: bool = False
    """The server is away or serves nobody with this account."""
    loading: bool = False
    """The server reads its model, and answers when it has."""

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


@dataclass(frozen=True, slots=True)
class Explainer:
    """Turns what the client raises into a Failure."""

    spec: ModelSpec
    provider: Provider
    endpoint: Endpoint

    def broke_off(self) -> Failure:
        """The stream ended without a finish reason."""
        server = self.endpoint.shown
        return Failure(
            f"the answer of {self.spec.name} broke off ({server} closed the stream)", "ask again", retry=True
        )

    def no_stream(self) -> Failure:
        """Success was reported, but nothing of an answer came."""
        return Failure(
            f"{self.endpoint.shown} answered with something that is no chat completion stream",
            "check the address (most end in /v1)",
        )

    def no_json(self) -> Failure:
        """The stream holds something that is no JSON."""
        return Failure(f"{self.endpoint.shown} sent something that is no JSON within an answer", "ask again")

    def too_much(self) -> Failure:
        """The server sends more than an answer can be."""
        what = f"{self.endpoint.shown} sent more than an answer of {self.spec.name} can be, and was stopped"
        return Failure(what, "ask for less, or choose another model")

    def silence(self, *, streaming: bool) -> Failure:
        """Nothing came for too long; `streaming`: the server had begun to answer."""
        what = f"{self.endpoint.shown} did not answer in time"
        return Failure(what, "try again, or choose another model", down=not streaming)

    def of(self, error: openai.APIError, *, streaming: bool) -> Failure:
        """The failure behind `error`; `streaming`: the server had begun to answer."""
        import openai

        server = self.endpoint.shown
        match error:
            case openai.APITimeoutError():
                return self.silence(streaming=streaming)
            case openai.APIConnectionError() if streaming:
                return self.broke_off()
            case openai.APIConnectionError():
                cause = self._clean(str(error.__cause__ or "")) or "the connection broke"
                return Failure(
                    f"no answer from {server} ({cause})",
                    "check the network"
                    if self.endpoint.is_default
                    else f"start the server, or check {self.endpoint.origin}",
                    retry=True,
                    down=True,
                )
            case openai.APIStatusError():
                return self._of_status(error.status_code, error, error.response.headers)
            case _:  # an error event inside the stream; some servers put the status into its code
                status = int(error.code) if error.code and re.fullmatch(r"[45]\d\d", error.code) else 400
                return self._of_status(500 if error.type == "server_error" else status, error, {})

    def _of_status(self, status: int, error: openai.APIError, headers: Mapping[str, str]) -> Failure:
        server, model, key_name = self.endpoint.shown, self.provider.model, self.endpoint.key_name
        said = self._said(error)
        match status:
            case _ if status not in {401, 403, 429} and _NO_TOOLS.search(said):
                return Failure(
                    f"{model} takes no tools at {server}{said}", "choose a model that does, or start the server so"
                )
            case 401 if self.endpoint.key is None:
                return Failure(f"{server} wants a key{said}", f"set {key_name}")
            case 401:
                return Failure(f"{server} refused the key{said}", f"check {key_name}")
            case 403:
                return Failure(f"{server} does not permit the use of {model}{said}", f"check {key_name}")
            case 404:
                return self._not_found(said)
            case _ if 300 <= status < 400:
                return Failure(f"{server} redirects (HTTP {status})", f"set {self.endpoint.origin} to where it leads")
            case _ if (
                status == 413 or error.code == "context_length_exceeded" or (status != 429 and _TOO_LONG.search(said))
            ):
                return Failure(
                    f"the conversation is too long for {self.spec.name}",
                    "ask again, run %compact, or start a new session",
                )
            case 402:
                return self._no_credit(said)
            case 429 if error.code == "insufficient_quota":
                return self._no_credit(said)
            case 429:
                return Failure(f"{server} limits the rate{said}", "ask again later", True, _retry_after(headers))
            case 503 if _LOADING.search(said):
                return Failure(f"{server} is loading its model", "ask again later", down=True, loading=True)
            case _ if status in {408, 409} or status >= 500:
                what = f"{server} failed with HTTP {status}{said}"
                return Failure(what, "ask again later", True, _retry_after(headers), down=status >= 500)
            case _:
                return Failure(
                    f"{server} refused the request (HTTP {status}){said}", "change the prompt, or choose another model"
                )

    def _not_found(self, said: str) -> Failure:
        """Servers say the same of a model and of a path that they do not have."""
        server, model, origin = self.endpoint.shown, self.provider.model, self.endpoint.origin
        named = "name one that it has in a model entry (examples/local_server.md)"
        if self.endpoint.url.rstrip("/").endswith("/v1"):
            return Failure(f"{server} does not know the model {model!r}{said}", f"{named}, or check {origin}")
        what = f"{server} has nothing there, or does not know the model {model!r}{said}"
        return Failure(what, f"check {origin} (most end in /v1), or {named}")

    def _no_credit(self, said: str) -> Failure:
        what = f"the account at {self.endpoint.shown} has no credit left{said}"
        return Failure(what, "check its plan and billing", down=True)

    def _said(self, error: openai.APIError) -> str:
        """The server's own words, in parentheses; empty when there are none fit to show."""
        body = error.body
        words = body.get("message") if isinstance(body, dict) else body
        if not isinstance(words, str) or words.lstrip().startswith("<"):  # a proxy's HTML page
            return ""
        line = self._clean(words)
        return f" ({line})" if line else ""

    def _clean(self, text: str) -> str:
        """Somebody else's text as a short line: no control or bidirectional characters, and never our key."""
        if self.endpoint.key:
            text = text.replace(self.endpoint.key, "***")
        printable = (" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text[:2000])
        return shorten(" ".join("".join(printable).split()), 200)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After-Ms` or `Retry-After` (seconds, or a date compared with the server's own `Date`)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
            return float(value) * unit
    try:
        until, now = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
