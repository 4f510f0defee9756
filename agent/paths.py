"""Where things are when the settings say nothing else; apart from the settings, so that a command starts quickly."""

from __future__ import annotations

from pathlib import Path

DEFAULT_SETTINGS = Path("/etc/station-agent/station.toml")
DEFAULT_SOCKET = Path("/run/station-agent/control.sock")
DEFAULT_STATE = Path("/var/lib/station-agent")
