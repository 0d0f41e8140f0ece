"""Fetches Lua's own test-suite for test_lua_suite.py: it is part of lupa's source archive on PyPI.

`python fetch_lua_suite.py FOLDER` writes FOLDER/5.4.8/*.lua, from the archive of the lupa that is installed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import re
import sys
import tarfile
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath

ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}
SECONDS = 60


def source_archive(name: str) -> bytes:
    """The archive of the installed version, as the package index has it and with the digest that it states."""
    page = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + f"/{name}/"
    with urllib.request.urlopen(urllib.request.Request(page, headers=ACCEPT), timeout=SECONDS) as answer:
        files = {file["filename"]: file for file in json.load(answer)["files"]}
    file = files[f"{name}-{importlib.metadata.version(name)}.tar.gz"]
    with urllib.request.urlopen(urllib.parse.urljoin(page, file["url"]), timeout=SECONDS) as answer:
        data: bytes = answer.read()
    if hashlib.sha256(data).hexdigest() != file["hashes"]["sha256"]:
        sys.exit(f"{file['filename']} is not what the index says")
    return data


def main(folder: Path) -> None:
    try:
        data = source_archive("lupa")
    except (OSError, ValueError, KeyError) as error:  # no network, or an index of another kind
        print(f"Lua's own tests will be skipped: {type(error).__name__}: {error}")
        return
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if path.match("third-party/lua54/testes/*.lua") or path.match("third-party/lua54/lua.h"):
                content = archive.extractfile(member)
                found[path.name] = content.read() if content else b""
    version = re.findall(rb'#define LUA_VERSION_(?:MAJOR|MINOR|RELEASE)\s+"(\d+)"', found.pop("lua.h"))
    target = folder / b".".join(version).decode()
    target.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (target / name).write_bytes(text)
    os.utime(folder)  # for make
    print(f"{len(found)} files of Lua's own tests: {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
