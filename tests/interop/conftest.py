# Fixtures of the interoperability tests.
# SPDX-License-Identifier: BSD-3-Clause
import pytest

import ours
import peer_openjpeg


@pytest.fixture(scope="session", autouse=True)
def tool():
    """The command-line tool, built when it is not there."""
    return ours.tool()


@pytest.fixture(scope="session")
def openjpeg():
    """OpenJPEG's library with every parameter."""
    if peer_openjpeg.library() is None:
        pytest.skip("no OpenJPEG 2.x shared library with the known layout (Pillow's wheel or libopenjp2)")
    return peer_openjpeg
