# The OpenJPEG fixture of the interoperability tests serves here, too.
# SPDX-License-Identifier: BSD-3-Clause
import pytest

import peer_openjpeg


@pytest.fixture(scope="session")
def openjpeg():
    if peer_openjpeg.library() is None:
        pytest.skip("no OpenJPEG 2.x shared library with the known layout (Pillow's wheel or libopenjp2)")
    return peer_openjpeg
