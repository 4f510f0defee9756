"""The union's side of the demo: issues passes with a key of its own, and puts them on phones."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

import numpy as np

from agent import qr_codes
from agent.core.passes import Pass, in_order, minute_of
from agent.signatures import generate, sign
from agent.vision.protocol import SimulatedPortrait

_DAY_MIN = 24 * 60
_SIDE_PX = 600
# What stands for a face: a simulated phone is a little larger than one, so the whole code is on its screen, and some
# 300 pixels of a frame wide.
_FACE_PX = 360


class PassOffice:
    """Issues passes for one time at one station. `folder`: where the phones' pictures are."""

    def __init__(self, folder: Path, station: str) -> None:
        self._folder = folder
        self._station = station
        self._key = generate(1)

    @property
    def keys(self) -> dict[str, str]:
        """What a station's settings hold of its key (`passes.keys`)."""
        return {str(self._key.key_id): self._key.public_text}

    def issue(self, phone: str, guest: str, now: datetime) -> None:
        """Put a fresh pass for a guest on a phone, good for a day from `now` (with its zone)."""
        minute = minute_of(now)
        token = Pass(
            key_id=self._key.key_id,
            pass_id=secrets.token_hex(8),
            holder=guest,
            is_guest=True,
            stations=in_order([self._station]),
            valid_from=minute,
            valid_until=minute + _DAY_MIN,
            is_once=True,
        )
        _draw(sign(self._key, token), self._path(phone))

    def screen(self, phone: str) -> SimulatedPortrait:
        """What a simulated camera shows of this phone; its picture is there once a pass was issued to it."""
        corner = (_SIDE_PX - _FACE_PX) // 2
        return SimulatedPortrait(path=str(self._path(phone)), face=(corner, corner, _FACE_PX, _FACE_PX))

    def _path(self, phone: str) -> Path:
        return self._folder / f"{phone}.png"


def _draw(text: str, path: Path) -> None:
    """The code in the middle of a white picture that is always as large."""
    import cv2

    modules = qr_codes.draw(text)
    scale = _SIDE_PX // len(modules)
    code = np.kron(255 - 255 * modules, np.ones((scale, scale), np.uint8))
    picture = np.full((_SIDE_PX, _SIDE_PX), 255, np.uint8)
    corner = (_SIDE_PX - len(code)) // 2
    picture[corner : corner + len(code), corner : corner + len(code)] = code
    _, png = cv2.imencode(".png", picture)
    path.write_bytes(png.tobytes())
