"""What an answer without calls lacks, in one line for the person: words, an end, or both."""

from __future__ import annotations

from dataclasses import dataclass

from micro_agi_kernel.agent.runner import Step
from micro_agi_kernel.values import shorten


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """What an answer could have, its thoughts among it."""

    tokens: int
    setting: str
    """Where a person changes it."""

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens ({self.setting})"


def shortfall(step: Step, model: str, limit: TokenLimit) -> str | None:
    """What the whole answer `step` lacks and what to do about it; None for one that nothing is missing from."""
    match step.reason:
        case "length" if taken := cut_by_server(step, limit):
            return (
                f"the server cut the answer of {model} after {taken:,} tokens, and it might have had {limit}: its "
                "context is full; run %compact, or start it with a larger one"
            )
        case "length" if step.is_wordless:
            return (
                f"{model} used all {limit} before the first word of its answer, since thoughts count too: ask for "
                "less, or raise the limit"
            )
        case "length":
            return f"the answer of {model} was cut at {limit}: ask again to have it go on, or raise the limit"
        case "content_filter" if step.is_wordless:
            return f"the provider's filter let nothing of {model}'s answer through: say it in other words"
        case "content_filter":
            return f"the provider's filter cut the answer of {model}: say it in other words"
        case reason if step.is_wordless:
            why = "" if reason == "stop" else f" ({shorten(repr(reason))})"
            return f"{model} gave no answer{why}: ask again, or choose another model"
        case _:
            return None


def cut_by_server(step: Step, limit: TokenLimit) -> int:
    """The tokens after which the server ended an answer well before the limit, by its own count; 0: it did not.

    Thoughts are part of `completion` at most servers, and beside it at some; some do not count the last tokens.
    """
    if step.finish is None or step.reason != "length":
        return 0
    usage = step.finish.usage
    return usage.completion if usage.completion + usage.reasoning < limit.tokens * 0.9 else 0
