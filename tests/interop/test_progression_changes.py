# Progression order changes (POC) that our encoder writes, decoded by OpenJPEG.
# SPDX-License-Identifier: BSD-3-Clause
import pytest

import images
import ours
from images import assert_same

CHANGES = [
    (["0,0,1,3,3,CPRL", "3,0,1,6,3,CPRL"], {}),
    (["0,0,1,2,3,RLCP", "0,0,3,6,1,LRCP", "0,1,3,33,3,PCRL"], {"layers": 3}),
    (["0,2,2,33,3,RPCL", "0,0,2,33,3,LRCP"], {"layers": 2, "tile": (64, 50), "precincts": [(32, 32)]}),
    (["0,0,1,33,3,PCRL", "0,0,4,33,3,RLCP"], {"ratio": [40, 20, 10, 5], "sop": True, "plt": True, "tile_parts": "C"}),
]


@pytest.mark.parametrize(("changes", "options"), CHANGES, ids=range(len(CHANGES)))
def test_decoded_by_openjpeg(openjpeg, changes, options):
    image = images.make(130, 100, components=3)
    data = ours.encode(image, change=changes, **options)
    # T.800 table A.32, component numbers of one byte.
    poc = data.index(b"\xff\x5f")
    assert poc < data.index(b"\xff\x90") and int.from_bytes(data[poc + 2 : poc + 4], "big") == 2 + 7 * len(changes)
    for i, change in enumerate(changes):
        r0, c0, l1, r1, c1 = map(int, change.split(",")[:5])
        order = ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"].index(change.split(",")[5])
        assert data[poc + 4 + 7 * i : poc + 11 + 7 * i] == bytes([r0, c0, 0, l1, r1, c1, order])
    if "ratio" in options:
        assert_same(openjpeg.decode(data), ours.decode(data), None)
    else:
        assert_same(image.planes, openjpeg.decode(data))
        assert_same(image.planes, ours.decode(data))


@pytest.mark.parametrize(("changes", "message"), [
    (["0,0,1,3,3,CPRL"], "do not send all layers of component 0, resolution 3"),
    (["0,0,1,33,2,CPRL"], "do not send all layers of component 2, resolution 0"),
    (["0,0,1,34,3,CPRL"], "entry 0 has resolutions 0 to 34"),
    (["0,0,1,33,4,CPRL"], "entry 0 has components 0 to 4 of 3"),
    (["0,0,2,33,3,CPRL"], "entry 0 has layers up to 2 of 1"),
    (["2,0,1,2,3,CPRL"], "entry 0 has resolutions 2 to 2"),
])  # fmt: skip
def test_bad_changes(changes, message):
    with pytest.raises(ours.ToolError, match=message):
        ours.encode(images.make(130, 100, components=3), change=changes)
