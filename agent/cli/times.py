"""Times as people at the station read them: in its zone, to the minute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from agent.control.client import ControlClient


def zone_in(answer: Mapping[str, Any]) -> tzinfo:
    """The zone that an answer of the agent names; UTC when it names none that this machine knows."""
    try:
        return ZoneInfo(str(answer["timezone"]))
    except (KeyError, ValueError, OSError):
        return UTC


def station_zone(client: ControlClient) -> tzinfo:
    """The station's zone, for times that are typed. Raises `ControlError`."""
    return zone_in(client.request("status").get("station", {}))


def utc_of(local: datetime | None, zone: tzinfo) -> str | None:
    """RFC 3339 in UTC of a time that somebody typed without a zone: it is the station's."""
    if local is None:
        return None
    return local.replace(tzinfo=zone).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(stored: str | None, zone: tzinfo) -> str:
    """`2026-11-22 12:36` of a stored time (RFC 3339); what is none stays as it is."""
    at = _parse(stored)
    return stored or "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def local_date(stored: str | None, zone: tzinfo) -> str:
    """`2026-11-22` of a stored time; as `local_time`."""
    return local_time(stored, zone)[:10]


def _parse(stored: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(stored or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None  # a day, which has no zone
