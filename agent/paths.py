"""Where things are when the settings say nothing else; apart from the settings, so that a command starts quickly."""

from __future__ import annotations

from pathlib import Path

DEFAULT_SETTINGS = Path("/etc/station-agent/station.toml")
DEFAULT_SOCKET = Path("/run/station-agent/control.sock")
DEFAULT_STATE = Path("/var/lib/station-agent")


def beside(folder: Path, path: Path) -> Path:
    """A path that counts from a folder, without `..`, which nobody can read.

    What stands after the last `..` is left as it is written: a certificate may be a link that is renewed.
    """
    joined = folder / path
    if ".." not in joined.parts:
        return joined
    last = len(joined.parts) - joined.parts[::-1].index("..")
    try:
        return Path(*joined.parts[:last]).resolve().joinpath(*joined.parts[last:])
    except (OSError, RuntimeError):  # links in a circle: whoever opens it says so
        return joined
