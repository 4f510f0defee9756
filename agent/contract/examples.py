"""One message of each topic, made with the models that they are examples of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agent.command_gate import CommandClaims
from agent.events import LoggedEntry
from agent.mqtt.payloads import (
    CONTRACT_VERSION,
    HOLDS_S,
    About,
    ApplianceState,
    CommandReply,
    Coordinates,
    DoorState,
    EntryPlace,
    EnvironmentState,
    HealthState,
    Message,
    Notice,
    NoticeState,
    OccupancyState,
    Reading,
    Readings,
    Status,
    SupplyState,
    log_event,
)
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash

_BODY = canonical({"ended": [], "inside": 1, "member": "m-1", "visit": "9f3c21aa-1", "way": "face"})
_SALT = "00112233445566778899aabbccddeeff"
_DIGEST = body_digest(_SALT, _BODY)
_AT = "2026-11-22T03:04:05.678Z"

_ENTRY = LoggedEntry(
    epoch=1,
    sequence=1,
    type="station.visit.entered",
    time=_AT,
    boot="3b6f52c1-0d1c-4f5c-9a37-6f6d9d0b1d55",
    monotonic_ms=73_204,
    clock="synchronised",
    body=_BODY,
    salt=_SALT,
    digest=_DIGEST,
    hash=entry_hash(
        GENESIS,
        "3b6f52c1-0d1c-4f5c-9a37-6f6d9d0b1d55",
        "synchronised",
        1,
        73_204,
        1,
        _AT,
        "station.visit.entered",
        _DIGEST,
    ),
)

COMMAND = CommandClaims(
    id="c-20261122-0001",
    station="demo-1",
    name="door.unlock",
    issued_at=_AT,
    nonce="032226a03d074c7f213d1b82598f9fc6",
)

# RFC 8037, A.1: everybody has it, so it is fit for an example and for nothing else.
TEST_KEY: Mapping[str, str] = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}

EXAMPLES: Mapping[str, Message] = {
    "status": Status(status="online", session="5f3a1c9e7b20d846", agent="0.1.0", contract=CONTRACT_VERSION, since=_AT),
    "about": About(
        name="城东驿站",
        address="城东路 1 号",
        coordinates=Coordinates(latitude=30.25, longitude=120.17),
        opening_hours="24 h",
        equipment=("microwave", "water_dispenser", "aed"),
    ),
    "state_door": DoorState(
        observed_at=_AT,
        holds_s=HOLDS_S,
        mode="normal",
        admission="members",
        lock="secured",
        contact="closed",
        alarms=(),
    ),
    "state_occupancy": OccupancyState(observed_at=_AT, holds_s=HOLDS_S, count=2, is_occupied=True),
    "state_appliances": ApplianceState(
        observed_at=_AT,
        holds_s=HOLDS_S,
        state="running",
        usable="yes",
        since=_AT,
        power_w=812.5,
        energy_kwh=41.7,
        cycles=913,
        in_use_s=164_340.0,
    ),
    "state_supplies": SupplyState(
        observed_at=_AT,
        holds_s=HOLDS_S,
        quantity=3,
        minimum=1,
        best_before="2027-06-30",
        checked_at=_AT,
        lent=1,
        usable="yes",
        faults=(),
    ),
    "state_environment": EnvironmentState(
        observed_at=_AT, holds_s=HOLDS_S, temperature_c=21.4, humidity_percent=47.0, co2_ppm=None
    ),
    "state_notice": NoticeState(
        observed_at=_AT,
        holds_s=HOLDS_S,
        notice=Notice(
            zh="今天停水至 18:00。",
            en="The water is off until 18:00.",
            level="warning",
            until="2026-11-22T10:00:00Z",
            put_at=_AT,
        ),
    ),
    "state_health": HealthState(
        observed_at=_AT,
        holds_s=HOLDS_S,
        faults=(),
        fault_count=0,
        alarms=(),
        uptime_s=86400.0,
        vision="running",
        storage="ok",
        backlog=0,
        confirmed=EntryPlace(epoch=1, sequence=40_312),
    ),
    "log_visit_entered": log_event("demo-1", _ENTRY, datetime.fromisoformat(_AT)),
    "replies": CommandReply(id="c-20261122-0001", status="done", at=_AT, result={"lock": "released", "opened": True}),
    "readings": Readings(
        readings=(
            Reading(
                sensor="microwave",
                quantity="power_w",
                minute="2026-11-22T03:03Z",
                min=1.9,
                mean=410.2,
                max=815.0,
                count=30,
            ),
        )
    ),
}
"""By the message's name."""
