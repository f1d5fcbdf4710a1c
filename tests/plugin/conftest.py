# Every test starts from, and leaves behind, the parameters of a fresh process.
# SPDX-License-Identifier: BSD-3-Clause
import pytest

import blosc2_grok


@pytest.fixture(autouse=True)
def fresh_parameters():
    blosc2_grok.set_params_defaults()
    yield
    blosc2_grok.set_params_defaults()
