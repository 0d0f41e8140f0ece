"""What a session and its turn took, and the line that ends a turn when a limit is reached."""

from __future__ import annotations

import pytest

from micro_agi_kernel.agent.budget import Budget
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.events import Notice, UsageReport
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.models.catalog import Pricing, read_spec
from micro_agi_kernel.values import Json, money

PRICES = {"large": Pricing(2.5, 10, 0.5), "small": Pricing(1, 4)}
USAGE = Usage(prompt=1_000, completion=100, cached=400, reasoning=60)


def budget(**bounds: float) -> Budget:
    return Budget(Bounds(**bounds), lambda model, usage: PRICES.get(model, Pricing()).cost(usage))  # type: ignore[arg-type]


def test_money_is_of_fresh_and_cached_prompt_and_of_the_answer() -> None:
    assert PRICES["large"].cost(USAGE) == pytest.approx((600 * 2.5 + 400 * 0.5 + 100 * 10) / 1e6)
    assert PRICES["small"].cost(USAGE) == pytest.approx((1_000 * 1 + 100 * 4) / 1e6), "no price for cached: as input"
    assert Pricing(1, 1, 0).cost(Usage(prompt=10, cached=99)) == 0, "more cached than sent is what was sent"


def test_every_step_counts_for_its_model_its_turn_and_the_session() -> None:
    spent = budget()
    spent.begin_turn()
    for model in ("large", "small", "large", "unknown"):
        event = spent.count(UsageReport(model, USAGE))
        assert isinstance(event, UsageReport)
        assert event.cost == PRICES.get(model, Pricing()).cost(USAGE)
    assert spent.count(note := Notice("a note")) is note
    assert {model: took.steps for model, took in spent.by_model.items()} == {"large": 2, "small": 1, "unknown": 1}
    total = 2 * PRICES["large"].cost(USAGE) + PRICES["small"].cost(USAGE)
    assert (spent.turn.steps, spent.turn.tokens) == (4, 4_400) and spent.turn.cost == pytest.approx(total)
    spent.begin_turn()
    assert (spent.turn.steps, spent.turn.tokens, spent.turn.cost) == (0, 0, 0)
    assert (spent.session.steps, spent.session.usage) == (4, USAGE + USAGE + USAGE + USAGE)


@pytest.mark.parametrize(
    ("bounds", "line"),
    [
        ({"tokens": 1_100}, "stopped after 1,100 tokens (setting limits.tokens); ask again to go on"),
        ({"tokens": 1_101}, None),
        ({"cost": 0.0027}, "stopped after $0.0027 (setting limits.cost); ask again to go on"),
        ({"cost": 0.0028}, None),
        (
            {"session_tokens": 1_000},
            "this session took 1,100 of 1,000 tokens (setting limits.session_tokens); "
            "start a new session, or raise it with %set",
        ),
        ({"session_tokens": 1_101}, None),
        (
            {"session_cost": 0.002},
            "this session took $0.0027 of $0.0020 (setting limits.session_cost); "
            "start a new session, or raise it with %set",
        ),
        ({}, None),
    ],
)
def test_a_limit_that_is_reached_has_a_line(bounds: dict[str, float], line: str | None) -> None:
    spent = budget(**bounds)
    assert spent.reached() is None
    spent.count(UsageReport("large", USAGE))
    assert spent.reached() == line
    spent.begin_turn()
    assert (spent.reached() is not None) == (line is not None and "session" in line), "a turn's limits begin anew"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "$0.0000"), (1e-9, "<$0.0001"), (0.00012, "$0.0001"), (0.5, "$0.5000"), (1234.5, "$1,234.50")],
)
def test_money_for_people(amount: float, shown: str) -> None:
    assert money(amount) == shown


def entry(pricing: Json) -> Entry:
    data: dict[str, Json] = {"max_tokens": 1_000, "pricing": pricing, "providers": [{"id": "a:b"}]}
    return Entry(EntryId("app", "m"), "registry.entry", {"type": "llm.model"}, data)


def test_an_entry_may_name_a_price_for_cached_tokens() -> None:
    assert read_spec(entry({"input": 2, "output": 8, "cached_input": 0.5})).pricing == Pricing(2, 8, 0.5)
    assert read_spec(entry({"input": 2, "output": 8})).pricing == Pricing(2, 8)
    with pytest.raises(EntryError, match=r"data\.pricing\.cached_input must be a price for a million tokens"):
        read_spec(entry({"cached_input": "free"}))
