from __future__ import annotations

import io
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.vision.photos import LONGEST_SIDE_PX, PhotoRefusedError, decode_photo, encode_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.engine import DlibEngine

    Picture = NDArray[np.uint8]

SAME = 0.15  # distance of two vectors of one photo that was only stored differently; another person's is above 0.3


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(data: bytes, engine: DlibEngine) -> str:
    with pytest.raises(PhotoRefusedError) as caught:
        encode_photo(data, engine)
    return caught.value.reason


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + kind + body + struct.pack("!I", zlib.crc32(kind + body))


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def image(collins: Picture) -> Image.Image:
    return Image.fromarray(collins)


@pytest.fixture(scope="module")
def reference(image: Image.Image, hog_engine: DlibEngine) -> NDArray[np.float32]:
    return encode_photo(stored(image), hog_engine)


def with_orientation(image: Image.Image, orientation: int) -> bytes:
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored(image.transpose(turn), "JPEG", quality=95, exif=exif)


def grey_16(image: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(image.convert("L"), np.uint16) * 257).astype(np.uint16))


def translucent(image: Image.Image) -> Image.Image:
    alpha = np.zeros((image.height, image.width), np.uint8)
    alpha[:400, 50:400] = 255
    layer = image.convert("RGBA")
    layer.putalpha(Image.fromarray(alpha))
    return layer


FORMS: dict[str, Any] = {
    "jpeg": lambda image: stored(image, "JPEG", quality=90),
    "progressive": lambda image: stored(image, "JPEG", quality=90, progressive=True),
    "cmyk": lambda image: stored(image.convert("CMYK"), "JPEG", quality=95),
    "grey_jpeg": lambda image: stored(image.convert("L"), "JPEG", quality=95),
    "grey_alpha": lambda image: stored(image.convert("LA")),
    "grey_16_bit": lambda image: stored(grey_16(image)),
    "palette": lambda image: stored(image.quantize(256)),
    "transparent": lambda image: stored(translucent(image)),
    "interlaced_metadata": lambda image: stored(image, "PNG", compress_level=1),
    "enlarged": lambda image: stored(image.resize((4000, 4000)), "JPEG", quality=90),
    "on_its_head": lambda image: with_orientation(image, 3),
    "held_left": lambda image: with_orientation(image, 6),
    "held_right": lambda image: with_orientation(image, 8),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_photo_gives_the_same_face_however_it_is_stored(
    form: str, image: Image.Image, reference: NDArray[np.float32], hog_engine: DlibEngine
) -> None:
    vector = encode_photo(FORMS[form](image), hog_engine)
    assert vector.shape == (128,)
    assert float(np.linalg.norm(vector - reference)) < SAME


def test_a_photo_without_a_face_is_refused(hog_engine: DlibEngine) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    assert refusal(stored(Image.fromarray(noise)), hog_engine) == "no_face"
    assert refusal(stored(Image.new("RGB", (640, 480))), hog_engine) == "no_face"


def test_a_photo_with_two_people_is_refused(collins: Picture, hopper: Picture, hog_engine: DlibEngine) -> None:
    near = np.asarray(Image.fromarray(collins[:300, 80:380]).resize((512, 512)))
    both = np.concatenate((near, hopper[:512, :512]), axis=1)
    assert refusal(stored(Image.fromarray(both)), hog_engine) == "two_faces"


@pytest.mark.parametrize("width_px", [90, 110])
def test_a_small_second_face_in_a_large_photo_is_seen(
    width_px: int, collins: Picture, hopper: Picture, hog_engine: DlibEngine
) -> None:
    scene = Image.new("RGB", (1280, 960), (120, 120, 120))
    scene.paste(Image.fromarray(hopper).resize((819, 960)), (0, 0))
    alone = stored(scene, "JPEG", quality=95)
    assert encode_photo(alone, hog_engine).shape == (128,)
    factor = width_px / 88  # HOG draws 88 px in the portrait
    small = Image.fromarray(collins[:200, 120:330])
    scene.paste(small.resize((round(210 * factor), round(200 * factor))), (950, 100))
    assert refusal(stored(scene, "JPEG", quality=95), hog_engine) == "two_faces"


def test_a_small_face_is_refused(image: Image.Image, yunet_engine: DlibEngine) -> None:
    assert refusal(stored(image.resize((256, 256))), yunet_engine) == "face_too_small"


def test_a_dark_photo_is_refused_with_the_reason(image: Image.Image, hog_engine: DlibEngine) -> None:
    assert refusal(stored(image.point(lambda level: level * 0.1)), hog_engine) in {"too_dark", "no_face"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, this is no picture" * 100,
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\0\0\0\0WEBP" + bytes(100),
        b"II*\0" + bytes(100),
    ],
)
def test_bytes_that_are_no_jpeg_or_png_are_refused(data: bytes, hog_engine: DlibEngine) -> None:
    assert refusal(data, hog_engine) == "not_a_picture"


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP"])
def test_a_picture_of_another_kind_is_refused(kind: str, image: Image.Image, hog_engine: DlibEngine) -> None:
    assert refusal(stored(image, kind), hog_engine) == "not_a_picture"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_photo_is_refused(kind: str, share: float, image: Image.Image, hog_engine: DlibEngine) -> None:
    data = stored(image, kind)
    assert refusal(data[: int(share * len(data))], hog_engine) == "not_a_picture"


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (39, 39)])
def test_a_tiny_photo_is_refused(size: tuple[int, int], hog_engine: DlibEngine) -> None:
    assert refusal(stored(Image.new("RGB", size)), hog_engine) == "too_small"


@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], hog_engine: DlibEngine) -> None:
    began_at = time.process_time()
    assert refusal(png_that_claims(*size), hog_engine) in {"too_large", "not_a_picture"}
    assert time.process_time() - began_at < 0.5


def test_a_real_photo_of_100_megapixels_is_refused(hog_engine: DlibEngine) -> None:
    assert refusal(stored(Image.new("L", (10_000, 10_000)), "JPEG", quality=10), hog_engine) == "too_large"


def test_a_large_photo_is_reduced(image: Image.Image) -> None:
    picture = decode_photo(stored(image.resize((3000, 1500)), "JPEG"))
    assert picture.shape == (LONGEST_SIDE_PX // 2, LONGEST_SIDE_PX, 3)
    assert picture.dtype == np.uint8


def test_colours_keep_their_order() -> None:
    red = decode_photo(stored(Image.new("RGB", (64, 64), (200, 10, 20))))
    assert red[32, 32].tolist() == [200, 10, 20]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_photos_are_decoded_or_refused(data: st.DataObject, image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = image.resize((64, 64))
    kind = data.draw(st.sampled_from(["PNG", "JPEG"]))
    whole = bytearray(stored(small, kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcome = str(decode_photo(bytes(whole)).ndim)
    except PhotoRefusedError as error:
        outcome = error.reason
    assert outcome in {"3", "not_a_picture", "too_small", "too_large"}
