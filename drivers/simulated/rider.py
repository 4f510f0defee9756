"""People and imitations of people before a camera, made from one portrait each: for the demo, tests and measurements.

`rider` is a head with depth that turns, nods, sways and blinks on a body, before a wall that it hides. `print` is the
same portrait on flat paper in somebody's hand, `bent_print` the same bent round a cylinder that breathes, `screen` the
portrait on a phone, `replay` a video of a moving rider on a phone. All go through one lens with distortion, a rolling
shutter, motion blur and sensor noise. Every quantity is drawn once per seed from `RANGES`, which are all that is
rendered; they were chosen from what people and hands do, before anything was built that tells the kinds apart.

Asked to (`MovingSubject.turn`), a rider turns the head to a side and back.

It does not: move a mouth or a face's expression, move hair against the head, turn a head beyond what one frontal
picture shows (some 30°), cast shadows, render fingers or a mask with cut-out eyes, or compress video.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from drivers.simulated.relief import NODE_PX, BentSheet, Head, HeadShape, Lens, Pose, Sheet, Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Plane = NDArray[np.float32]

Kind = Literal["rider", "print", "bent_print", "screen", "replay"]
KINDS: tuple[Kind, ...] = ("rider", "print", "bent_print", "screen", "replay")
Movement = Literal["left", "right"]
MOVEMENTS: tuple[Movement, ...] = ("left", "right")
Range = tuple[float, float]
_Maps = tuple["Plane", ...]
_Part = tuple[slice, slice]

_LENS: Mapping[str, Range] = {
    "face_px": (150, 220),  # at 640 columns; smaller pictures in proportion
    "view_degrees": (50, 75),  # horizontal, of UVC cameras
    "distortion": (-0.02, 0.08),  # first radial term at a tangent of 1; positive is a barrel
    "exposure_s": (0.004, 0.025),
    "readout_s": (0.008, 0.030),  # between the first row and the last
    "noise_levels": (1.0, 3.0),  # standard deviation
    "light": (0.75, 1.10),
    "place_x": (-0.4, 0.4),  # of the face from the middle of the frame, face widths
    "place_y": (-0.25, 0.25),
}
_RIDER: Mapping[str, Range] = {
    "yaw_degrees": (5, 14),  # amplitudes: half of what it swings, on two overlaid periods
    "pitch_degrees": (2, 7),
    "roll_degrees": (1, 4),
    "yaw_offset_degrees": (-6, 6),  # nobody looks straight into a lens
    "pitch_offset_degrees": (-5, 5),
    "sway": (0.03, 0.12),  # face widths, to the sides; up and down a half
    "depth_sway": (0.02, 0.08),  # of the distance
    "period_s": (1.4, 3.6),
    "arrival": (0.0, 0.25),  # how much further away, of the distance, at the start
    "half_width": (0.58, 0.68),  # the head, in face widths of some 14 cm
    "half_height": (0.85, 1.00),
    "depth": (0.50, 0.70),  # from the ears' plane to the brow
    "roundness": (2.0, 2.5),  # the superellipsoid's power
    "nose_height": (0.12, 0.17),
    "nose_width": (0.07, 0.10),
    "socket_depth": (0.02, 0.05),
    "chin_height": (0.01, 0.04),
    "shading": (0.1, 0.4),  # how much of the light comes from one side
    "blink_every_s": (2.0, 5.0),
    "blink_s": (0.12, 0.30),
}
_HELD: Mapping[str, Range] = {
    "yaw_degrees": (4, 20),
    "pitch_degrees": (3, 15),
    "roll_degrees": (1, 8),
    "yaw_offset_degrees": (-5, 5),  # yaw and pitch reach 25° together with this at the most
    "pitch_offset_degrees": (-5, 5),
    "sway": (0.05, 0.25),
    "depth_sway": (0.02, 0.12),
    "period_s": (0.8, 3.0),
    "arrival": (0.0, 0.40),
    "tremor": (0.001, 0.005),  # face widths
    "tremor_hz": (6.0, 11.0),
    "gloss": (0.0, 0.25),  # a lamp's reflection, as a share of white, that stays with the lamp
    "gloss_width": (0.3, 0.8),
}
_PAPER: Mapping[str, Range] = {"half_width": (0.75, 1.6), "half_height": (0.95, 1.9)}  # of the paper, face widths
RANGES: Mapping[Kind, Mapping[str, Range]] = {
    "rider": {**_LENS, **_RIDER},
    "print": {**_LENS, **_HELD, **_PAPER},
    "bent_print": {
        **_LENS,
        **_HELD,
        **_PAPER,
        "bend_radius": (0.9, 3.0),  # face widths: from wrapped half round a drinking bottle to a slack sheet
        "bend_breath": (0.0, 0.15),  # of the radius
        "bend_axis_degrees": (-90, 90),  # from upright
    },
    "screen": {
        **_LENS,
        **_HELD,
        "half_width": (0.7, 1.1),
        "half_height": (1.0, 1.6),
        "bezel": (0.03, 0.12),
        "glow": (1.0, 1.3),
        "moire_levels": (0.0, 5.0),
        "moire_px": (4.0, 30.0),
    },
}
RANGES = {**RANGES, "replay": {**RANGES["screen"], "video_fps": (24, 30)}}

TURNING: Mapping[str, Range] = {
    "reaction_s": (
        0.35,
        1.1,
    ),  # from the sign to the first movement of a head: a choice between two takes longer than one
    "turn_degrees": (20, 30),  # from the front; people who are asked turn further, but a frontal picture ends there
    "turn_s": (0.35, 0.90),  # there, and again back
    "held_s": (0.05, 0.60),
}
"""How a rider turns the head when asked to, drawn once for every time that they are."""

_TEXELS = 260  # per face width of a texture: above the largest face in a frame of 640 columns
_REACH_X, _REACH_UP, _REACH_DOWN = 2.1, 1.6, 2.4  # of a texture from the middle of the face, face widths
_BODY_SHARE = 0.35  # of the head's sway that the body follows


@dataclass(frozen=True, slots=True)
class FaceOutline:
    """Where the face is in a portrait, pixels. `box`: x, y, width, height, about as wide as the face.

    `eyes` (middles) and `nose` (tip) make the head fit the portrait; without them they are where most people's are.
    """

    box: tuple[int, int, int, int]
    eyes: tuple[tuple[float, float], tuple[float, float]] | None = None
    nose: tuple[float, float] | None = None

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the box."""
        x, y, width, height = self.box
        return x + width / 2, y + height / 2


class _Swing:
    """Two overlaid sines; never beyond `amplitude` from `offset`."""

    def __init__(self, random: np.random.Generator, amplitude: float, period_s: float, offset: float = 0.0) -> None:
        self._amplitude, self._offset = amplitude, offset
        self._periods = (period_s * random.uniform(0.8, 1.25), period_s * random.uniform(0.3, 0.6))
        self._phases = (random.uniform(0, 2 * math.pi), random.uniform(0, 2 * math.pi))

    def at(self, seconds: float) -> float:
        slow, fast = (math.sin(2 * math.pi * seconds / t + p) for t, p in zip(self._periods, self._phases, strict=True))
        return self._offset + self._amplitude * (0.75 * slow + 0.25 * fast)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A head that goes to `yaw` and comes back, from `begins_at` on; radians, seconds."""

    begins_at: float
    yaw: float
    turn_s: float
    held_s: float

    def share(self, seconds: float) -> float:
        """How much of the head's yaw is this turn's, 0 to 1, the rest being how it moves anyway."""
        into = seconds - self.begins_at
        back = into - self.turn_s - self.held_s
        return _smooth(into / self.turn_s) - _smooth(back / self.turn_s)


def _smooth(share: float) -> float:
    """From 0 to 1 with the least jerk, as limbs and heads move (Flash and Hogan 1985)."""
    at = min(1.0, max(0.0, share))
    return at**3 * (10 - 15 * at + 6 * at**2)


class MovingSubject:
    """One portrait as one kind of subject, by one seed; see the module. Not safe to call from two threads at once."""

    def __init__(
        self,
        portrait: Picture,
        face: FaceOutline,
        kind: Kind,
        seed: int,
        *,
        size: tuple[int, int] = (640, 480),
        wall: Picture | None = None,
        calm: float = 1.0,
    ) -> None:
        """`portrait`: (H, W, 3) uint8 RGB. `size`: columns, rows. `wall`: what stands behind, of that size.

        `calm`: scales the amplitudes of all movements; 1 is what `RANGES` say.
        """
        self.kind: Kind = kind
        self._random = np.random.default_rng([seed, KINDS.index(kind)])
        self._values = {name: float(self._random.uniform(*ends)) for name, ends in RANGES[kind].items()}
        value = self._values
        focal_px = size[0] / 2 / math.tan(math.radians(value["view_degrees"] / 2))
        self._lens = Lens(size, focal_px, value["distortion"])
        self._away = focal_px / (value["face_px"] * size[0] / 640)
        self._wall = draw_wall(size, seed) if wall is None else wall
        self._swings = self._make_swings(calm)
        self._noise = self._random.normal(0, value["noise_levels"], (size[1] + 64, size[0] + 64, 3)).astype(np.float32)
        self._light = _unit(self._random.normal(0, 1, 3) * (1, 0.6, 0) + (0, -0.4, -0.8))
        self._moire_angle = float(self._random.uniform(0, math.pi))
        self._head: Head | None = None
        self._extent: tuple[int, int, int, int] | None = None  # of the cover in the texture: left, right, top, bottom
        self._video: MovingSubject | None = None
        self._turns: tuple[_Turn, ...] = ()
        # Of its own: how it moves anyway does not depend on what it is asked.
        self._turn_random = np.random.default_rng([seed, KINDS.index(kind), 1])
        self._prepare(portrait, face, seed, size)

    def frame(self, seconds: float) -> Picture:
        """The frame `seconds` after it came into view: (H, W, 3) uint8 RGB. The same call gives the same frame."""
        values = self._values
        span = values["exposure_s"] + values["readout_s"]
        begin, end = self._maps(seconds), self._maps(seconds + span)
        texture = self._texture_at(seconds)
        scene = self._behind(seconds)
        where = self._where(texture, begin, end)
        if where is None:
            return self._expose(scene, seconds)
        nodes, pixels = where
        begin, end = tuple(each[nodes] for each in begin), tuple(each[nodes] for each in end)
        behind = scene[pixels]
        rows, columns = behind.shape[:2]
        first = [_enlarge(each, columns, rows) for each in begin[2:]]
        moved = [_enlarge(late - early, columns, rows) for late, early in zip(end[2:], begin[2:], strict=True)]
        row = np.arange(pixels[0].start, pixels[0].stop, dtype=np.float32) / scene.shape[0]
        seen = np.zeros((rows, columns, 4), np.float32)
        for share in (0.0, 0.5, 1.0):  # of the exposure
            late = np.asarray((row * values["readout_s"] + share * values["exposure_s"]) / span, np.float32)[:, None]
            x, y = (np.asarray(here + way * late, np.float32) for here, way in zip(first, moved, strict=True))
            seen += _sample(texture, x, y)
        seen /= 3
        cover = np.asarray(seen[..., 3:] / 255, np.float32)
        front = self._light_up(seen[..., :3], cover, begin, seconds)
        scene[pixels] = front + behind * (1 - cover)
        return self._expose(scene, seconds)

    def turn(self, movement: Movement, seconds: float) -> None:
        """The head turns to its own `movement` and back, as `TURNING` says, after being asked to at `seconds`.

        In a `replay` the head in the video does. Pictures cannot.
        """
        if self._video is not None:
            self._video.turn(movement, seconds)
            return
        value = {name: float(self._turn_random.uniform(*ends)) for name, ends in TURNING.items()}
        yaw = math.radians(value["turn_degrees"]) * (-1 if movement == "left" else 1)  # its left is the frame's right
        begins_at = seconds + value["reaction_s"]
        self._turns = (*self._turns[-3:], _Turn(begins_at, yaw, value["turn_s"], value["held_s"]))

    def _where(self, texture: Picture, *maps: _Maps) -> tuple[_Part, _Part] | None:
        """The part of the nodes and that of the pixels in which the subject is seen at all."""
        if self._extent is None:
            rows, columns = np.nonzero(texture[..., 3])
            self._extent = (columns.min(), columns.max(), rows.min(), rows.max())
        left, right, top, bottom = self._extent
        is_on = np.zeros(maps[0][2].shape, bool)
        for each in maps:
            column, row = (each[2] + _REACH_X) * _TEXELS, (each[3] + _REACH_UP) * _TEXELS
            is_on |= (column > left) & (column < right) & (row > top) & (row < bottom)
        down, across = np.nonzero(is_on)
        if not len(down):
            return None
        size = self._lens.size
        parts = []
        for found, limit in ((down, size[1]), (across, size[0])):
            begin, end = max(0, int(found.min()) - 1), int(found.max()) + 2
            parts.append((slice(begin, end + 1), slice(begin * NODE_PX, min(limit, end * NODE_PX))))
        (down_nodes, down_px), (across_nodes, across_px) = parts
        return (down_nodes, across_nodes), (down_px, across_px)

    def box(self, seconds: float) -> tuple[float, float, float, float]:
        """Where the face is in that frame, x, y, width, height: its flat middle, as a detector would frame it."""
        pose = self._pose(seconds)
        height = 0.7 * self._surface_at(seconds).highest
        corners = np.array([(x, y, -height) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
        pivot = np.array(pose.pivot)
        seen = self._lens.project((corners - pivot) @ pose.rotation.T + pivot + np.array(pose.place))
        (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)

    # --- what moves ---

    def _make_swings(self, calm: float) -> dict[str, _Swing]:
        value, random = self._values, self._random
        radians = {name: math.radians(each) for name, each in value.items() if name.endswith("_degrees")}
        plan = {
            "yaw": (radians["yaw_degrees"], radians["yaw_offset_degrees"]),
            "pitch": (radians["pitch_degrees"], radians["pitch_offset_degrees"]),
            "roll": (radians["roll_degrees"], 0.0),
            "x": (value["sway"], value["place_x"]),
            "y": (value["sway"] / 2, value["place_y"]),
            "z": (value["depth_sway"] * self._away, 0.0),
        }
        return {
            name: _Swing(random, calm * amplitude, value["period_s"] * random.uniform(0.7, 1.4), offset)
            for name, (amplitude, offset) in plan.items()
        }

    def _pose(self, seconds: float) -> Pose:
        value = self._values
        swing = {name: each.at(seconds) for name, each in self._swings.items()}
        far = self._away * (1 + value["arrival"] * math.exp(-max(0.0, seconds) / 0.4))
        if self.kind == "rider":
            for turn in self._turns:
                share = turn.share(seconds)
                swing["yaw"] += share * (turn.yaw - swing["yaw"])
            place = (swing["x"], swing["y"], far + swing["z"] + 0.5 * value["depth"])
            return Pose(swing["yaw"], swing["pitch"], swing["roll"], place, pivot=(0.0, 0.5, 0.1))
        tremor = value["tremor"] * math.sin(2 * math.pi * value["tremor_hz"] * seconds)
        return Pose(
            swing["yaw"], swing["pitch"], swing["roll"], (swing["x"] + tremor, swing["y"] - tremor, far + swing["z"])
        )

    def _surface_at(self, seconds: float) -> Surface:
        if self._head is not None:
            return self._head
        if self.kind != "bent_print":
            return Sheet()
        value = self._values
        breath = 1 + value["bend_breath"] * math.sin(2 * math.pi * seconds / value["period_s"])
        return BentSheet(value["bend_radius"] * breath, math.radians(value["bend_axis_degrees"]))

    def _maps(self, seconds: float) -> _Maps:
        """At the nodes: x, y on the surface, and x, y in the portrait."""
        surface = self._surface_at(seconds)
        x, y = self._lens.look_at(surface, self._pose(seconds))
        return x, y, *surface.on_portrait(x, y)

    # --- what is seen ---

    def _prepare(self, portrait: Picture, face: FaceOutline, seed: int, size: tuple[int, int]) -> None:
        value = self._values
        if self.kind == "replay":
            self._video = MovingSubject(portrait, face, "rider", seed + 1_000_003, size=size)
            return
        picture = _texture(portrait, face)
        if self.kind == "rider":
            eyes, nose = _places(face)
            names = HeadShape.__dataclass_fields__.keys() - {"eyes", "nose"}
            self._head = Head(HeadShape(eyes=eyes, nose=nose, **{name: value[name] for name in names}))
            # The ellipsoid ends in a cliff; the picture ends a little before it.
            centre, axes = (0.0, Head.CENTRE_Y), (0.97 * value["half_width"], 0.97 * value["half_height"])
            self._open = np.dstack([picture, _ellipse(picture.shape, centre, axes)])
            self._closed = np.dstack([_close_eyes(picture, eyes), self._open[..., 3]])
            self._body = np.dstack([picture, _ellipse(picture.shape, (0.0, 2.4), (1.8, 1.75))])
            return
        self._open = self._cut(picture)

    def _cut(self, picture: Picture) -> Picture:
        """The sheet or phone that the picture is on, with its edge."""
        import cv2

        value = self._values
        left, top = _texel(-value["half_width"], -value["half_height"])
        right, bottom = _texel(value["half_width"], value["half_height"])
        cover = np.zeros(picture.shape[:2], np.uint8)
        if "bezel" in value:
            picture = np.clip(picture.astype(np.float32) * value["glow"], 0, 255).astype(np.uint8)
            edge = round(value["bezel"] * _TEXELS)
            framed = np.full_like(picture, 18)
            framed[top:bottom, left:right] = picture[top:bottom, left:right]
            picture = framed
            left, top, right, bottom = left - edge, top - 2 * edge, right + edge, bottom + 2 * edge
        cv2.rectangle(cover, (left, top), (right - 1, bottom - 1), (255,), -1)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), 1.0), np.uint8)
        return np.dstack([picture, cover])

    def _texture_at(self, seconds: float) -> Picture:
        if self._video is not None:
            shown = math.floor(seconds * self._values["video_fps"]) / self._values["video_fps"]
            frame = self._video.frame(shown)
            x, y, width, height = self._video.box(0.5)
            box = (round(x), round(y), round(width), round(height))
            return self._cut(_texture(frame, FaceOutline(box)))
        if self.kind == "rider":
            every, long = self._values["blink_every_s"], self._values["blink_s"]
            into = (seconds + 0.5 * every) % every
            shut = max(0.0, math.sin(math.pi * into / long)) if into < long else 0.0
            if shut > 0:
                import cv2

                return np.asarray(cv2.addWeighted(self._closed, shut, self._open, 1 - shut, 0), np.uint8)
        return self._open

    def _behind(self, seconds: float) -> Plane:
        """The wall and, for a rider, the body before it."""
        scene = self._wall.astype(np.float32)
        if self._head is None:
            return scene
        pose = self._pose(seconds)
        still_x, still_y = self._values["place_x"], self._values["place_y"]
        x, y, z = pose.place
        place = (still_x + _BODY_SHARE * (x - still_x), still_y + _BODY_SHARE * (y - still_y), z)
        columns, rows = self._lens.size
        nodes = self._lens.look_at(Sheet(), Pose(0.0, 0.0, 0.0, place))
        body = _sample(self._body, *(_enlarge(each, columns, rows) for each in nodes))
        cover = body[..., 3:] / 255
        return np.asarray(body[..., :3] * cover + scene * (1 - cover), np.float32)

    def _light_up(self, front: Plane, cover: Plane, nodes: _Maps, seconds: float) -> Plane:
        rows, columns = front.shape[:2]
        if self._head is not None:
            normals = self._head.normals(nodes[0], nodes[1])
            turned = (self._pose(seconds).rotation.T @ self._light).astype(np.float32)
            # The portrait has its own light in it; only what the turn changes is added.
            change = normals @ turned - normals @ self._light.astype(np.float32)
            front = front * (1 + self._values["shading"] * _enlarge(change, columns, rows)[..., None])
            return np.asarray(front * cover, np.float32)
        pose = self._pose(seconds)
        # A mirror turned by an angle throws the lamp's image twice as far.
        x = nodes[0] - np.float32(2 * self._away * math.tan(pose.yaw) * 0.3 + 0.4)
        y = nodes[1] - np.float32(2 * self._away * math.tan(pose.pitch) * 0.3 - 0.3)
        spot = np.exp(-(x * x + y * y) / (2 * self._values["gloss_width"] ** 2)).astype(np.float32)
        front = front + 255 * self._values["gloss"] * _enlarge(spot, columns, rows)[..., None]
        if "moire_levels" in self._values:
            # The beat of two grids turns and runs with the phone, but much faster than what is on it.
            angle, length = self._moire_angle + 3 * pose.roll, self._values["moire_px"] * (1 + 2 * pose.yaw**2)
            down, across = np.mgrid[0:rows, 0:columns].astype(np.float32)
            phase = (across * math.cos(angle) + down * math.sin(angle)) / length + 20 * (pose.place[0] + pose.place[2])
            front = front + self._values["moire_levels"] * np.sin(2 * math.pi * phase)[..., None]
        return np.asarray(front * cover, np.float32)

    def _expose(self, scene: Plane, seconds: float) -> Picture:
        number = round(seconds * 1000)
        row, column = (number * 37) % 64, (number * 101 + number // 64) % 64
        rows, columns = scene.shape[:2]
        noise = self._noise[row : row + rows, column : column + columns]
        return np.asarray(np.clip(scene * self._values["light"] + noise + 0.5, 0, 255), np.uint8)


def draw_wall(size: tuple[int, int], seed: int) -> Picture:
    """A wall with things on it, (rows, columns, 3) uint8 RGB, by seed; nothing that a detector takes for a face."""
    import cv2

    columns, rows = size
    random = np.random.default_rng([seed, 7])
    coarse = random.uniform(-18, 18, (rows // 16, columns // 16, 3)).astype(np.float32)
    wall = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    wall += random.uniform(70, 170, 3).astype(np.float32)
    wall += np.linspace(15, -15, rows, dtype=np.float32)[:, None, None]
    for _ in range(6):
        x, y = int(random.integers(columns)), int(random.integers(rows))
        wide, high = int(random.integers(10, columns // 4)), int(random.integers(10, rows // 3))
        colour = tuple(float(each) for each in random.uniform(40, 200, 3))
        cv2.rectangle(wall, (x, y), (x + wide, y + high), colour, -1)
    return np.asarray(np.clip(wall, 0, 255), np.uint8)


def _places(face: FaceOutline) -> tuple[tuple[tuple[float, float], tuple[float, float]], tuple[float, float]]:
    """Eyes and nose in face widths from the middle; the defaults are means over frontal portraits."""
    (x, y), width = face.middle, float(face.box[2])
    eyes = face.eyes or ((x - 0.21 * width, y - 0.16 * width), (x + 0.21 * width, y - 0.16 * width))
    nose = face.nose or (x, y + 0.10 * width)
    left, right, tip = (((px - x) / width, (py - y) / width) for px, py in (*eyes, nose))
    return (left, right), tip


def _texture(portrait: Picture, face: FaceOutline) -> Picture:
    """The portrait around its face at `_TEXELS` per face width; its border goes on beyond its edge."""
    import cv2

    (x, y), scale = face.middle, _TEXELS / face.box[2]
    if scale < 0.7:
        portrait = np.asarray(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        x, y, scale = x * scale, y * scale, 1.0
    width, height = round(2 * _REACH_X * _TEXELS), round((_REACH_UP + _REACH_DOWN) * _TEXELS)
    place = np.array([[scale, 0, _REACH_X * _TEXELS - scale * x], [0, scale, _REACH_UP * _TEXELS - scale * y]])
    texture = cv2.warpAffine(portrait, place, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(texture, np.uint8)


def _texel(x: float, y: float) -> tuple[int, int]:
    return round((x + _REACH_X) * _TEXELS), round((y + _REACH_UP) * _TEXELS)


def _ellipse(shape: tuple[int, ...], centre: tuple[float, float], axes: tuple[float, float]) -> Picture:
    """Cover of 255 in an ellipse (face widths) with a soft edge."""
    import cv2

    cover = np.zeros(shape[:2], np.uint8)
    full = (2 * axes[0] * _TEXELS, 2 * axes[1] * _TEXELS)
    cv2.ellipse(cover, (_texel(*centre), full, 0.0), (255,), -1)
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), _TEXELS / 60), np.uint8)


def _close_eyes(picture: Picture, eyes: tuple[tuple[float, float], tuple[float, float]]) -> Picture:
    """The same face with its lids shut: skin from around over the eyes, and a line of lashes."""
    import cv2

    mask = np.zeros(picture.shape[:2], np.uint8)
    for eye in eyes:
        cv2.ellipse(mask, _texel(*eye), (round(0.13 * _TEXELS), round(0.055 * _TEXELS)), 0, 0, 360, (255,), -1)
    closed = np.asarray(cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA), np.uint8)
    for x, y in eyes:
        axes = (round(0.11 * _TEXELS), round(0.035 * _TEXELS))
        cv2.ellipse(closed, _texel(x, y + 0.01), axes, 0, 0, 180, (60, 45, 40), 3, cv2.LINE_AA)
    return closed


def _enlarge(nodes: Plane, columns: int, rows: int) -> Plane:
    """From every `NODE_PX`th pixel to every pixel."""
    import cv2

    scale = np.array([[NODE_PX, 0, 0], [0, NODE_PX, 0]], np.float64)
    full = cv2.warpAffine(
        nodes.astype(np.float32), scale, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(full, np.float32)


def _sample(texture: Picture, x: Plane, y: Plane) -> Plane:
    """The texture at these places of every pixel, face widths: (H, W, 4)."""
    import cv2

    column, row = (x + np.float32(_REACH_X)) * np.float32(_TEXELS), (y + np.float32(_REACH_UP)) * np.float32(_TEXELS)
    return np.asarray(cv2.remap(texture, column, row, cv2.INTER_LINEAR), np.float32)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
