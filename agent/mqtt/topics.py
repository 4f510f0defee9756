"""The names of the contract's topics, checked once where they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.core.spoken import WrongUseError

# The station's id is also part of a CloudEvents id, of an ACL pattern and of a client id. 64 keeps every topic far
# below MQTT's 65,535 bytes and readable.
_STATION = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# Other levels come from the settings and may be in any script: no wildcard, separator, control character or space. A
# topic that begins with `$` belongs to the broker.
_LEVEL = r"[^\s/+#\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_PREFIX = re.compile(rf"(?!\$)(?=.{{1,128}}$){_LEVEL}+(/{_LEVEL}+)*")
_PART = re.compile(rf"{_LEVEL}{{1,64}}(/{_LEVEL}{{1,64}})?")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one station. Raises ValueError when `prefix` or `station` cannot be part of a topic.

    `prefix` may have several levels (`province/stations`).
    """

    prefix: str
    station: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise WrongUseError(
                f"主题前缀 {self.prefix!r:.80} 不能用:1 到 128 个字符,无空格、+ 和 #,两端无 /,开头无 $",
                f"prefix {self.prefix!r:.80} cannot begin a topic: use 1 to 128 characters without spaces, + and #, "
                f"no / at either end and no $ in front",
            )
        if not _STATION.fullmatch(self.station):
            raise WrongUseError(
                f"站点编号 {self.station!r:.80} 不能用:1 到 64 个字符(A-Z a-z 0-9 . _ -),不以句点开头",
                f"station {self.station!r:.80} cannot be part of a topic: use 1 to 64 of A-Z a-z 0-9 . _ - and "
                f"do not begin with a full stop",
            )

    @property
    def status(self) -> str:
        """Online or offline: birth, last will. Retained."""
        return f"{self.prefix}/{self.station}/status"

    @property
    def about(self) -> str:
        """What the service board shows. Retained."""
        return f"{self.prefix}/{self.station}/about"

    @property
    def log(self) -> str:
        """The log, in order."""
        return f"{self.prefix}/{self.station}/log"

    @property
    def readings(self) -> str:
        """Sensor values by the minute."""
        return f"{self.prefix}/{self.station}/readings"

    @property
    def commands(self) -> str:
        """Commands of the central server."""
        return f"{self.prefix}/{self.station}/commands"

    @property
    def replies(self) -> str:
        """What became of a command."""
        return f"{self.prefix}/{self.station}/replies"

    def state(self, part: str) -> str:
        """Live state of one part: `door`, `appliances/microwave`. Retained. Raises ValueError for a bad name."""
        if not _PART.fullmatch(part):
            raise ValueError(
                f"part {part!r:.80} cannot be a topic: use a word, or a word, a slash and a name, each of 1 to 64 "
                f"characters without spaces, / + #"
            )
        return f"{self.prefix}/{self.station}/state/{part}"
