"""Time zones by name, from the tzdata package and not from the machine: the same answer anywhere."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from micro_agi_kernel.go_time.calendar import DAY, DAYS_IN_400_YEARS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Zone:
    """What the clocks of a place show: a zone of the database, from `load_zone`, or one of a fixed offset."""

    name: str
    """Of a fixed zone also its abbreviation."""
    offset: int | None
    """Seconds east of UTC of a fixed zone; None for one of the database."""

    def at(self, seconds: int) -> tuple[int, str]:
        """Seconds east of UTC and abbreviation, `seconds` after 1970-01-01 UTC."""
        if self.offset is not None:
            return self.offset, self.name
        from datetime import UTC, datetime, timedelta

        # A datetime reaches from year 1 to 9999. Beyond, rules repeat every 400 years; before, the first one holds.
        first, last, cycle = -62_135_000_000, 253_402_000_000, DAYS_IN_400_YEARS * DAY
        seconds = max(first, seconds if seconds < last else last - cycle + (seconds - last) % cycle)
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(_read(self.name)[0])
        offset = local.utcoffset() or timedelta(0)
        return int(offset.total_seconds()), local.tzname() or ""

    def offset_named(self, abbreviation: str, local_seconds: int) -> int | None:
        """The offset that the zone calls `abbreviation`, None if there is none.

        One that is in force when the zone's clocks show `local_seconds` goes before one that was ever so called.
        """
        if self.offset is not None:
            return self.offset if self.name == abbreviation else None
        offsets = [offset for offset, name in _read(self.name)[1] if name == abbreviation]
        for offset in offsets:
            if self.at(local_seconds - offset)[1] == abbreviation:
                return offset
        return offsets[0] if offsets else None


UTC = Zone("UTC", 0)


def load_zone(name: str) -> Zone:
    """The zone `name` of the database, such as "Europe/Berlin"; "UTC", "" and "Local" are UTC.

    Raises ValueError when there is none.
    """
    if name in ("", "UTC", "Local"):
        return UTC
    if name not in _names():
        raise ValueError(f"unknown time zone {name}")
    return Zone(name, None)


def preload_zones() -> None:
    """Read every zone now, since in the jail no file can be opened."""
    for name in _names():
        _read(name)


@cache
def _names() -> frozenset[str]:
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def _read(name: str) -> tuple[ZoneInfo, list[tuple[int, str]]]:
    """The rules of a zone, and each offset that it ever had with its abbreviation, in the order of its file."""
    from importlib.resources import files
    from io import BytesIO
    from zoneinfo import ZoneInfo

    data = files("tzdata.zoneinfo").joinpath(name).read_bytes()
    return ZoneInfo.from_file(BytesIO(data), key=name), _offsets(data)


def _offsets(data: bytes) -> list[tuple[int, str]]:
    """Offsets and abbreviations of a TZif file: RFC 8536, the second of its two blocks, which has 64-bit times."""
    header = 44
    is_ut, is_standard, leaps, times, kinds, letters = struct.unpack(">6l", data[20:header])
    second = header + times * 5 + kinds * 6 + letters + leaps * 8 + is_standard + is_ut
    times, kinds, letters = struct.unpack(">3l", data[second + 32 : second + header])
    start = second + header + times * 9
    end = start + kinds * 6
    names = data[end : end + letters]
    return [
        (offset, names[at : names.index(0, at)].decode())
        for offset, _, at in struct.iter_unpack(">lBB", data[start:end])
    ]
