"""What a search for attached devices brings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """One device that is there now. `driver`: the module that reads it; `address`: what the settings name it by."""

    driver: str
    address: str
    description: str
