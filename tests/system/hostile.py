"""Messages to the commands topic that are no commands of anybody who may send one, in every form."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from joserfc import jws
from joserfc.jwk import OctKey

from agent import command_keys
from agent.command_gate import CommandClaims, sign
from agent.command_keys import CommandSigner
from agent.mqtt.payloads import MAX_PAYLOAD_BYTES
from agent.mqtt.topics import Topics
from tests.system.stations import STATION

COMMANDS = Topics("stations", STATION).commands
OLD_NONCE = "0" * 32


def claims(number: int, **fields: object) -> CommandClaims:
    return CommandClaims.model_validate(
        {
            "id": f"c-{number}",
            "station": STATION,
            "name": "door.unlock",
            "issued_at": "2026-11-22T00:00:00Z",
            "nonce": OLD_NONCE,
            **fields,
        }
    )


class Hostile:
    """Makes one message after the other. `recorded`: rightful commands that were carried out."""

    def __init__(self, rightful: CommandSigner, recorded: list[bytes], random: Random) -> None:
        self._random = random
        self._recorded = recorded
        stranger = command_keys.generate(rightful.name)

        def by(signer: CommandSigner, **fields: object) -> bytes:
            return sign(claims(len(self._made), **fields), signer.name, signer.private).encode()

        self._made: list[bytes] = []
        for _ in range(50):  # signatures take a while, and the gate reads the same one again as a new one
            self._made += [
                by(stranger),
                by(command_keys.generate("central-9")),
                by(rightful),
                by(rightful, name="door.hold_open"),
                by(rightful, name="station.refresh", nonce=None, session="f" * 16),
                by(rightful, name="members.erase", arguments={"id": "m-1"}, nonce=None, revision=1),
                by(rightful, name="door.explode"),
                by(rightful, arguments={"door": "all"}),
                by(rightful, station="another-1"),
            ]
        body = claims(0).model_dump_json(exclude_none=True)
        secret = OctKey.import_key("central-1central-1central-1central-1")
        header = {"alg": "HS256", "kid": rightful.name}
        self._made.append(jws.serialize_compact(header, body, secret, algorithms=["HS256"]).encode())
        self._makers: list[Callable[[], bytes]] = [
            lambda: self._random.randbytes(self._random.randrange(200)),
            lambda: b"{" * self._random.randrange(400),
            lambda: b"e30." * self._random.randrange(1, 100),
            lambda: self._random.choice(self._made),
            lambda: self._random.choice(self._recorded),
            self._altered,
        ]

    def next(self) -> bytes:
        """Every five hundredth is larger than the contract allows, or a deep nest."""
        if not self._random.randrange(500):
            size = MAX_PAYLOAD_BYTES + self._random.randrange(-5_000, 100_000)
            return self._random.choice((b"\0", b"[", b"a.", b'{"a":')) * (size // 2)
        return self._random.choice(self._makers)()

    def _altered(self) -> bytes:
        message = bytearray(self._random.choice(self._made + self._recorded))
        message[self._random.randrange(len(message))] ^= 1 << self._random.randrange(7)
        return bytes(message[: self._random.randrange(1, len(message) + 1)] if self._random.random() < 0.3 else message)
