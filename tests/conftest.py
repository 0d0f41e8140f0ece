"""What all tests share: a home of their own, and nothing of the person's environment."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import planted_keys
import pytest

from micro_agi_kernel.imports import import_jsonschema

import_jsonschema()  # before nbformat does: without what takes two seconds in every process of tests

LONG = (
    *("tests/browser/", "tests/frontends/", "tests/test_console.py", "tests/test_examples.py", "tests/test_guide.py"),
    *("tests/test_packaging.py", "tests/house/test_corpus_mended.py", "tests/jupyter/test_front_ends.py"),
)
"""Files of tests that start browsers, servers and kernels, and wait for them most of the time."""

LAST_LONG = 0.8
"""Part of the run within which they all begin: none is left alone at the end."""

SHARES = {
    "test_a_task_becomes_a_right_tool_in_one_turn": 3,
    "test_a_faulty_tool_is_refused_with_the_reason": 3,
    "test_wrong_arguments_give_the_error_that_the_page_promises": 12,
    "test_a_bomb_ends_in_an_error_that_names_the_limit": 4,
    "test_a_cost_bomb_ends_at_the_limit_that_it_reached": 4,
    "test_schema_bombs_end_in_a_named_limit": 4,
    "test_failures_have_a_kind_and_exit_code_1": 8,
    "test_results": 8,
    "test_closed_streams_are_no_failure": 3,
    "test_a_reader_that_leaves_is_no_failure": 3,
    "test_an_entry_whose_source_is_lost_is_written_again": 2,
    "test_hostile_payloads_are_refused_in_words": 2,
    "test_a_damaged_file_is_made_anew": 4,
    "test_they_end_as_one": 0,
    "test_what_costs_too_much_is_a_named_limit": 2,
    "test_the_first_call_in_a_child_succeeds": 3,
    "test_references_without_an_end_are_one_line_and_nothing_else": 5,
    "test_texts_that_repeat_themselves": 5,
    "test_what_a_power_cut_emptied": 3,
    "test_a_kill_leaves_a_whole_commit_or_none": 0,
    "test_the_commands_for_a_local_server": 0,
    "test_the_commands_that_open_an_address": 0,
    "test_the_kernel_is_not_registered_or_its_python_is_gone": 0,
    "test_nothing_is_left_of_two_hundred_calls": 0,
    "test_without_rlimits_python_memory_is_free": 0,
    "test_hundreds_of_calls_in_one_answer_all_get_a_result_a_few_at_a_time": 0,
    "test_any_values_meet_any_operator": 0,
    "test_any_values_meet_any_builtin": 0,
    "test_a_turn_ends_as_designed": 2,
    "test_what_a_push_can_break": 2,
    "test_while_create_tool_runs": 3,
    "test_what_two_lines_did_to_one_entry": 2,
    "test_the_audit_finds_what_nobody_approved": 3,
    "test_a_forged_approval_stays_off_our_line": 3,
    "test_a_stream_without_an_end": 4,
    "test_turns": 3,
    "test_time": 3,
    "test_files_of_the_repository": 3,
    "test_a_sidecar_that_is_broken_or_lies": 3,
    "test_refusals": 2,
    "test_the_nearest_is_named": 3,
    "test_the_commands_of_the_audit": 0,
    "test_the_commands_of_a_tool_by_hand": 0,
    "test_answers_render_and_hostile_ones_stay_text": 0,
    "test_without_git_the_log_is_the_same": 0,
    "test_what_is_broken_is_a_line_and_the_rest_is_examined": 0,
    "test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere": 0,
    "test_the_tour_runs": 0,
    "test_workers_without_a_zygote": 0,
    "test_of_many_tools_and_long_ones_only_so_much_is_shown": 0,
    "test_the_models_server_is_asked": 0,
    "test_it_ends_cleanly": 2,
    "test_hostile_sources_end_and_never_raise": 3,
    "test_the_quickstart_runs_and_looks_right": 0,
    "test_a_page_shows_what_happens": 9,
    "test_a_type_checker_agrees_with_the_examples_and_knows_every_name": 0,
    "test_leaving_the_events_stops_the_turn": 3,
    "test_the_cells_of_the_page_show_what_it_says": 0,
    "test_a_call_of_the_write_path_fails": 7,
    "test_the_second_try_is_committed": 0,
    "test_in_the_console": 0,
    "test_the_slow_checker_of_formats_is_neither_imported_nor_hidden_from_others": 0,
    "test_going_back_does_what_the_model_does": 0,
    "test_the_console_shows_the_transcript_and_is_interrupted_by_ctrl_c": 0,
    "test_each_layer_holds_by_itself": 2,
    "TestInABatch": 0,
    "test_notebooks_as_pages": 0,
    "test_a_person_uses_notebook_7": 0,
    "test_a_conversation_and_its_history": 0,
    "test_random_lines": 0,
    "test_parameters_are_text_that_a_person_reads_and_the_agent_knows": 0,
    "test_the_commands_of_the_readme": 0,
    "test_a_kernel_that_was_killed_and_the_next_one_of_its_notebook": 0,
    "test_a_script_that_closes_nothing_ends_quietly_and_its_fork_is_told": 0,
    "test_answers_that_nobody_reads_do_not_pile_up": 0,
    "test_another_address_of_this_machine_is_guarded_as_its_first": 0,
    "test_a_push_that_breaks_a_tool_is_taken_and_says_so": 0,
    "test_an_interrupt_stops_the_turn_and_the_script_goes_on": 0,
    "test_everything_that_is_wrong_is_said_and_nothing_is_written": 0,
    "test_call_offers_to_go_back": 0,
    "test_both_answer_while_a_cell_waits_for_its_model": 0,
    "test_a_tool_that_asks_the_host_too_often_is_ended": 0,
    "test_large_requests_and_answers_do_not_block_each_other": 0,
    "test_the_client_of_the_models_and_that_of_the_tools_are_imported_in_turn": 0,
}
"""Tests, or classes of them, with many cases of one kind: how many stand for one in the quick suite; 0: all are left to
`make test-full`."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = spread(items)
    if os.environ.get("MICRO_AGI_FULL") == "1":
        return
    seen: Counter[str] = Counter()
    left = []
    for item in items:
        names = item.nodeid.partition("[")[0].split("::")[1:]
        name = next((name for name in names if name in SHARES), names[-1])
        share = SHARES.get(name, 1)
        if share == 0 or seen[name] % share:
            left.append(item)
        seen[name] += 1
    if left:
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]


def spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests in an order in which one process waits while the others work; those of a file stay together."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    long = [name for name in files if name.startswith(LONG)]
    order = [name for name in files if not name.startswith(LONG)]
    for number, name in enumerate(long):
        order.insert(number + int(number * LAST_LONG * (len(files) - len(long)) / len(long)), name)
    return [item for name in order for item in files[name]]


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key, setting, registry or Git identity of the person reaches a test or a process that it starts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("MICRO_AGI_", "OPENAI_", "GIT_", "JPY_")) and name != "MICRO_AGI_FULL":
                patch.delenv(name)
        for name, key in planted_keys.ENVIRONMENT.items():
            patch.setenv(name, key)
        patch.setenv("HOME", str(home))
        patch.setenv("MICRO_AGI_HOME", str(home / "micro-agi"))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(Path(home, name.lower())))
        yield


KEYS_FOUND = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No key that a test planted may stand in what the run left: logs, registries, databases, notebooks."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return  # with several processes, the one that started them looks through all of their folders
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    session.config.stash[KEYS_FOUND] = found = planted_keys.search(folder)
    if found and session.exitstatus in (0, 5):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for where in terminalreporter.config.stash.get(KEYS_FOUND, ()):
        terminalreporter.write_line(f"FAILED a planted key stands in {where}", red=True)
