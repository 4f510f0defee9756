"""What the demo came to: the summary for people, the file for programs, and what is missing."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.demo.director import Outcome
from agent.demo.scenario import Scene
from agent.fleet.audit import Audit
from agent.mqtt.payloads import LogEvent

_GRANTED = "station.access.granted"
_COUNTED = {
    "visits": "station.visit.entered",
    "refusals": "station.access.refused",
    "alarms": "station.door.alarm_raised",
}
_FAULT = "station.fault.raised"
_OF_APPLIANCES = "appliance."  # other faults depend on the machine, such as a clock that nobody has set


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen. `scenes`: those played, in order.

    `received` and `audit` come from the subscriber, the two numbers from the agent's own status.

    `notices`: messages that who is notified got.
    `named`: people whose name a received message holds, which none may.
    """

    scenes: Sequence[Scene]
    outcomes: Sequence[Outcome]
    latencies_ms: Sequence[float]
    received: Sequence[LogEvent]
    audit: Audit
    log_entries: int
    acknowledged: int
    notices: int
    complaints: Sequence[str]
    named: Sequence[str] = ()


def missing(evidence: Evidence) -> list[str]:
    """Name everything that was expected and did not happen."""
    found = [f"{each.scene}: {each.step}: {each.failure}" for each in evidence.outcomes if each.failure]
    counted = count(evidence)
    for name, received in counted.items():
        expected = sum(getattr(scene.brings, name) for scene in evidence.scenes)
        if received != expected:
            found.append(f"{name}: {received} received, {expected} expected")
    ids = len({event.id for event in evidence.received})
    if evidence.log_entries == 0:
        found.append("the log is empty")
    if ids != evidence.log_entries:
        found.append(f"log entries: {ids} received of {evidence.log_entries} written")
    if evidence.acknowledged != evidence.log_entries:
        found.append(f"log entries: {evidence.acknowledged} acknowledged of {evidence.log_entries} written")
    if not evidence.audit.is_whole:
        found.append("the log's chain does not hold as it was received")
    by_face = sum(each.type == _GRANTED and (each.data or {}).get("way") == "face" for each in evidence.received)
    if len(evidence.latencies_ms) < by_face:
        found.append(f"latencies: {len(evidence.latencies_ms)} measured for {by_face} who came in by face")
    found += [f"privacy: a message names {name}" for name in evidence.named]
    found += [f"against the contract: {complaint}" for complaint in evidence.complaints]
    return found


def as_json(evidence: Evidence, lacking: Sequence[str]) -> dict[str, Any]:
    """The report for programs."""
    return {
        **count(evidence),
        "scenes": len(evidence.scenes),
        "log_entries": evidence.log_entries,
        "acknowledged": evidence.acknowledged,
        "received": len({event.id for event in evidence.received}),
        "latency_ms": spread(evidence.latencies_ms),
        "missing": list(lacking),
    }


def count(evidence: Evidence) -> dict[str, int]:
    """How often each thing that totals name was received."""
    kinds = Counter(event.type for event in evidence.received)
    codes = (str((event.data or {}).get("code")) for event in evidence.received if event.type == _FAULT)
    faults = sum(code.startswith(_OF_APPLIANCES) for code in codes)
    return {**{name: kinds[kind] for name, kind in _COUNTED.items()}, "faults": faults, "notices": evidence.notices}


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median, 95th percentile (linear interpolation) and largest, milliseconds; None when nothing was measured."""
    if not values:
        return {"p50": None, "p95": None, "max": None}
    p95 = statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]
    return {"p50": round(statistics.median(values), 1), "p95": round(p95, 1), "max": round(max(values), 1)}
