"""What the station remembers of passes: which were revoked, and which wait to be redeemed.

Which were spent is not here: the ledger decides that, on the disk, as it redeems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.door import Cause


@dataclass(frozen=True, slots=True)
class PassRules:
    """`station`: this station's digest. `trusts_unset_clock`: whether time limits are judged by any clock."""

    station: bytes = b""
    trusts_unset_clock: bool = False


@dataclass(frozen=True, slots=True)
class Redemption:
    """A pass for once that the disk is asked about, and who comes in by it then.

    Station time: `until` is the order's, `given_up_at` the end.
    """

    cause: Cause
    until: float
    given_up_at: float


@dataclass(frozen=True, slots=True)
class PassBook:
    """`revoked`: ids of passes; `is_known`: whether the ledger could be read, so that none is missing.

    `redemptions` by the id of the pass; `quiet_until`: station time until which a pass that was admitted says nothing
    new, so that a code still held up opens no second time.
    """

    revoked: frozenset[str] = frozenset()
    is_known: bool = False
    redemptions: Mapping[str, Redemption] = field(default_factory=dict)
    quiet_until: Mapping[str, float] = field(default_factory=dict)

    def deadline(self) -> float | None:
        """When the next redemption is given up."""
        return min((each.given_up_at for each in self.redemptions.values()), default=None)
