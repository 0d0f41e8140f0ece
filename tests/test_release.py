"""What a release stands on: one version, a changelog, and a lock file that fits pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from micro_agi_kernel import __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCK = ROOT / "requirements-dev.txt"


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    place = ROOT / PYPROJECT["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^__version__ = "(.+)"$', place.read_text(), re.MULTILINE) == [__version__]
    assert str(Version(__version__)) == __version__


def test_the_changelog_has_a_section_for_each_release_newest_first() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}", line) for line in sections[1:]]
    assert sections[0] == "Unreleased" and all(released)
    versions = [Version(match[1]) for match in released if match]
    assert versions == sorted(versions, reverse=True)
    assert all(version <= Version(__version__) for version in versions)


def locked() -> Iterator[tuple[Requirement, int]]:
    """Each line of the lock file, and how many hashes it has."""
    for block in re.split(r"\n(?=\S)", LOCK.read_text()):
        if not block.startswith("#"):
            line, *hashes = block.split("--hash=sha256:")
            yield Requirement(line.rstrip(" \\\n")), len(hashes)


def wanted(name: str) -> Iterator[Requirement]:
    """The requirements of an extra, and those of the extras of ours that it names."""
    for requirement in map(Requirement, PROJECT["optional-dependencies"][name]):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from wanted(extra)
        else:
            yield requirement


def test_the_lock_file_satisfies_pyproject_on_every_python() -> None:
    pins: dict[str, list[Requirement]] = {}
    for pin, hashes in locked():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)) and hashes, f"{pin}: it is no version with its hashes"
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    requirements = [*map(Requirement, PROJECT["dependencies"]), *wanted("lab"), *wanted("test")]
    advice = "run `make lock` and commit requirements-dev.txt"
    for requirement in requirements:
        found = pins.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement.name} is not locked: {advice}"
        for pin in found:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version, prereleases=True), f"{pin} is not {requirement}: {advice}"
        for minor in ("3.11", "3.12", "3.13"):
            here = {"python_version": minor, "python_full_version": f"{minor}.7"}
            fitting = [pin for pin in found if pin.marker is None or pin.marker.evaluate(here)]
            assert len(fitting) == 1, f"{requirement.name} on Python {minor}: {advice}"


def test_no_extra_beside_the_lock_file_is_installed_where_the_tests_run() -> None:
    """`make` may be given any target before `make test`, which does not look again."""
    known = {canonicalize_name(pin.name) for pin, _ in locked()}
    extras = re.findall(r"^\t\$\(BIN\)/python -m pip .* '\.\[(.+)\]'$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"lab", "docs"} <= {*extras}
    for extra in extras:
        assert not {canonicalize_name(each.name) for each in wanted(extra)} - known, extra


def test_the_parts_that_libraries_carry_are_folders_of_tests() -> None:
    carried = re.findall(r"^CARRIED := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    assert carried == sorted(carried) and all((ROOT / "tests" / folder).is_dir() for folder in carried)
    assert {"library", "mcp", "mcp_client"} <= {*carried}


def test_every_python_that_is_promised_is_locked_and_said() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    promised = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: Python :: 3." in line}
    assert promised == {"3.11", "3.12", "3.13"}
    page = (ROOT / "docs/releasing.md").read_text()
    assert all(f"3.{minor}" in page for minor in (11, 12, 13))
