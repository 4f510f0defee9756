from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.rigs import Rig, make_rig

_KINDS = ["simulated", "mock_pins", "fake_kernel", pytest.param("hardware", marks=pytest.mark.hardware)]


@pytest.fixture(params=_KINDS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    option = request.config.getoption
    options = {name: str(option(f"--gpio-{name}")) for name in ("chip", "drive", "sense")}
    rig = make_rig(request.param, options)
    with rig.on_exit:
        yield rig
