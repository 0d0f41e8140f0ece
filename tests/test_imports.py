"""Heavy packages are imported by one thread after the other."""

from __future__ import annotations

import subprocess
import sys

TWO_THREADS = """
import sys, threading
from itertools import groupby
from micro_agi_kernel.host import http_client
from micro_agi_kernel.models import openai
seen = []
sys.addaudithook(lambda event, args: event == "import" and seen.append(threading.get_ident()))
threads = [threading.Thread(target=load) for load in (openai._import_client, http_client._client_class)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(set(seen)), len(list(groupby(seen))))
"""


def test_the_client_of_the_models_and_that_of_the_tools_are_imported_in_turn() -> None:
    said = subprocess.run([sys.executable, "-c", TWO_THREADS], capture_output=True, text=True, check=True)
    threads, turns = map(int, said.stdout.split())
    assert (threads, turns) == (2, 2)


SCHEMAS = """
import sys
from micro_agi_kernel.imports import import_jsonschema
import_jsonschema()
print("jsonschema" in sys.modules, "rfc3987_syntax" in sys.modules)
import_jsonschema()
import rfc3987_syntax
"""


def test_the_slow_checker_of_formats_is_neither_imported_nor_hidden_from_others() -> None:
    said = subprocess.run([sys.executable, "-c", SCHEMAS], capture_output=True, text=True, check=True)
    assert said.stdout == "True False\n"
