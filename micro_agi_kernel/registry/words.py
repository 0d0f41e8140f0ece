"""The words of a text as the indexes have them, and how alike two tools are by the words that say what they are for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from micro_agi_kernel.values import Json

ALIKE = 0.45
"""From this likeness on two tools serve the same purpose: no two of the thirty different tools in tests/corpus reach
it (at most 0.42), and 16 of 20 paraphrases of them do. Of those in tests/registry/held_out_purposes.yaml, which it was
not chosen on and must not be fitted to, 14 of 20 do."""
MAX_TEXT = 4_000
"""Characters of a text that are looked at."""

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Characters of scripts that put no space between words: each is a word, and words of them are phrases."""
_WORD = re.compile(r"[^\W_]+")
"""So the parts of a name are words."""
_SENTENCE_END = re.compile(r"[.!?]\s|\n\s*\n|[\u3002\uff01\uff1f]")
_TEXTS = ("comment", "description", "llm_description")
_DIRECTION = frozenset(("as", "into", "to"))
_EMPTY = frozenset(
    (
        *("a", "all", "also", "an", "and", "any", "are", "be", "between", "by", "do", "does", "each", "for", "from"),
        *("give", "given", "gives", "had", "has", "have", "how", "if", "in", "is", "it", "its", "more", "most", "no"),
        *(
            "nor",
            "not",
            "of",
            "on",
            "one",
            "ones",
            "only",
            "or",
            "other",
            "others",
            "out",
            "result",
            "return",
            "returns",
        ),
        *("say", "says", "so", "some", "such", "tell", "tells", "than", "that", "the", "their", "them", "then", "they"),
        *("this", "tool", "use", "used", "uses", "using", "what", "when", "whether", "which", "who", "whose", "with"),
        "without",
    )
)
"""Words that any description may hold."""
_ENDINGS = ("ations", "ation", "ings", "ing", "ers", "ies", "ied", "er", "ed", "es", "ly", "s", "e", "y")


def searchable(text: str) -> str:
    """`text` as the full-text index has it, and as it is asked for."""
    return _UNSPACED.sub(r" \g<0> ", text.casefold())


def purpose(name: str, meta: Mapping[str, Json]) -> dict[str, int]:
    """The stems of the words that say what a tool is for, with their weights: those of name and title count twice.

    Of each text the first sentence counts: what else a model adds differs from one to the next. A word after "to",
    "into" or "as" has ">" in front, for csv_to_records is not records_to_csv.
    """
    texts = [(2, name), (2, meta.get("title")), *((1, meta.get(key)) for key in _TEXTS)]
    found: dict[str, int] = {}
    for weight, text in texts:
        for word in (
            _stems(_SENTENCE_END.split(text[:MAX_TEXT].strip(), maxsplit=1)[0]) if isinstance(text, str) else ()
        ):
            found.setdefault(word, weight)
    return found


def likeness(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """How much of the weights of two purposes lies in words that both have: 0 to 1."""
    shared = sum(one[word] + other[word] for word in one.keys() & other.keys())
    return shared / max(1, sum(one.values()) + sum(other.values()))


def _stems(text: str) -> list[str]:
    stems: list[str] = []
    mark = ""
    for word in _WORD.findall(searchable(text)):
        if word in _DIRECTION:
            mark = ">"
        elif word not in _EMPTY and (len(word) > 1 or not word.isascii()):
            stems.append(mark + _stem(word))
            mark = ""
    return stems


def _stem(word: str) -> str:
    """The word without an ending of English; what other words it meets that way matters little."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
