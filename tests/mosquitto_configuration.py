"""The shipped configuration of mosquitto on a free port, with certificates that its own script made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from agent.mqtt.client import Broker, Tls
from tests.broker import Mosquitto

CONFIGURATION = Path(__file__).parents[1] / "config/mosquitto"


class Certificates:
    """A folder of certificates as `make-certificates` leaves it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            message = "openssl is not installed: apt-get install openssl"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        self.folder = folder

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`make-certificates FOLDER arguments…`; fails the test when it does."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(CONFIGURATION / "make-certificates"), str(self.folder), *arguments]
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
        )

    def tls(self, name: str) -> Tls:
        """How the holder of this certificate connects."""
        return Tls(self.folder / "ca.pem", self.folder / f"{name}.pem", self.folder / f"{name}.key")


def shipped_settings(certificates: Path, folder: Path, *, acl: Path = CONFIGURATION / "acl") -> tuple[str, ...]:
    """The lines of the shipped file, with its places on the disk replaced and without its port."""
    text = (CONFIGURATION / "mosquitto.conf").read_text(encoding="utf-8")
    replaced = {
        "/etc/mosquitto/certs": str(certificates),
        "/etc/mosquitto/acl": str(acl),
        "/var/lib/mosquitto/": f"{folder}/",
    }
    assert all(each in text for each in replaced)
    for place, here in replaced.items():
        text = text.replace(place, here)
    lines = text.splitlines()
    assert lines.count("listener 8883") == 1
    return tuple(line for line in lines if line and not line.startswith("#") and line != "listener 8883")


class SecureBroker:
    """mosquitto as shipped, with certificates of `stations` and of the central server."""

    def __init__(self, folder: Path, *stations: str, host: str = "localhost") -> None:
        self.certificates = Certificates(folder / "certificates")
        self.certificates.make("ca")
        self.certificates.make("server", host)
        self.certificates.make("account", "central-server")
        self.certificates.make("account", "operator")
        for station in stations:
            self.certificates.make("station", station)
        place = folder / "broker"
        place.mkdir()
        self.mosquitto = Mosquitto(place, shipped_settings(self.certificates.folder, place))
        self.mosquitto.start()

    def as_(self, name: str, *, protocol: str = "5") -> Broker:
        """The broker, to be entered with this one's certificate."""
        version: Literal["5", "3.1.1"] = "5" if protocol == "5" else "3.1.1"
        return Broker("localhost", self.mosquitto.port, protocol=version, tls=self.certificates.tls(name))
