# Parameters of one array never reach another: every order of calls, two threads at once, and every door.
# SPDX-License-Identifier: BSD-3-Clause
import itertools
import threading

import blosc2
import numpy as np
import pytest
from store import HTJ2K, J2K, OPENHTJ2K, cparams, payloads, picture, psnr, run_python, store

import blosc2_grok

IMAGE = picture(160, 200, 3)
METALAYER = {"jpeg2000": "quality_mode=rates; quality_layers=12"}


def coded(target=None, image=IMAGE, **others):
    """What the image must become, whatever was coded before it: every parameter is given to a function."""
    quality = {"quality_mode": "rates", "quality_layers": [target]} if target else {}
    return blosc2_grok.encode(image, **{**blosc2_grok.params_defaults, **quality, **others})


def check(array, target=None, image=IMAGE, **others):
    assert payloads(array) == [coded(target, image, **others)]


def lossless():
    blosc2_grok.set_params_defaults()
    array = store(IMAGE)
    assert (array[...] == IMAGE).all()
    check(array)


def lossless_by_name():
    blosc2_grok.set_params_defaults(quality_mode=None)
    array = store(IMAGE)
    assert (array[...] == IMAGE).all()
    check(array)


def by_meta():
    check(store(IMAGE, codec_meta=80), 8)


def by_metalayer():
    check(store(IMAGE, meta=METALAYER), 12)


def by_default():
    blosc2_grok.set_params_defaults(quality_mode="rates", quality_layers=[20])
    check(store(IMAGE), 20)


def by_encode():
    assert blosc2_grok.encode(IMAGE, quality_mode="rates", quality_layers=[15]) == coded(15)


def failing():
    with pytest.raises(RuntimeError):
        store(IMAGE.astype(np.complex64))


STEPS = [lossless, lossless_by_name, by_meta, by_metalayer, by_default, by_encode, failing]


def test_the_targets_differ():
    """Else the tests below would see nothing."""
    sizes = [len(coded(target)) for target in (None, 5, 8, 12, 15, 20)]
    assert sizes == sorted(set(sizes), reverse=True)
    for size, target in zip(sizes[1:], (5, 8, 12, 15, 20), strict=True):
        assert 0.85 * IMAGE.nbytes / target < size <= 1.001 * IMAGE.nbytes / target


@pytest.mark.parametrize(
    "steps", list(itertools.permutations(STEPS, 3)), ids=lambda steps: "-".join(s.__name__ for s in steps)
)
def test_every_order(steps):
    for step in (*steps, lossless, *reversed(steps), lossless):
        step()


def test_two_threads_at_once():
    """One thread writes lossless arrays while others write lossy ones through every door but the process's defaults."""
    failures = []
    stop = threading.Event()

    def lossy(step):
        while not stop.is_set():
            try:
                step()
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=lossy, args=(step,)) for step in (by_meta, by_metalayer, by_encode)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            assert (store(IMAGE)[...] == IMAGE).all()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_defaults_change_between_whole_sets():
    """While one thread switches the defaults, each block of another is coded with one set or the other, never a mixture."""
    image = IMAGE[:, :, 0].copy()
    sets = [
        {"num_resolutions": 2, "numgbits": 3, "progression": "RLCP"},
        {"num_resolutions": 5, "numgbits": 6, "progression": "PCRL"},
    ]
    expected = {blosc2_grok.encode(image, **chosen) for chosen in sets}
    blosc2_grok.set_params_defaults(**sets[0])
    stop = threading.Event()

    def switch():
        for chosen in itertools.cycle(sets):
            blosc2_grok.set_params_defaults(**chosen)
            if stop.is_set():
                return

    thread = threading.Thread(target=switch)
    thread.start()
    seen = {payloads(store(image))[0] for _ in range(150)}
    stop.set()
    thread.join()
    assert seen <= expected


def test_metalayer_stays_with_the_array(tmp_path):
    """A re-opened array goes on with its own parameters."""
    path = str(tmp_path / "a.b2nd")
    store(IMAGE, meta=METALAYER, urlpath=path, mode="w")
    again = blosc2.open(path, mode="a")
    upside_down = IMAGE[::-1].copy()
    again[...] = upside_down
    check(again, 12, upside_down)
    np.save(path + ".npy", IMAGE)
    run_python(
        "import sys, blosc2, numpy; blosc2.open(sys.argv[1], mode='a')[...] = numpy.load(sys.argv[1] + '.npy')", path
    )
    check(blosc2.open(path), 12)


def test_metalayer_overrides_meta_and_defaults():
    blosc2_grok.set_params_defaults(quality_mode="dB", quality_layers=[20], numgbits=3)
    array = store(IMAGE, codec_meta=80, meta=METALAYER)
    check(array, 12, numgbits=3)
    array = store(IMAGE, codec_meta=80, meta={"jpeg2000": "num_resolutions=2"})
    check(array, 8, numgbits=3, num_resolutions=2)
    array = store(IMAGE, codec_meta=80, meta={"jpeg2000": "quality_mode=none"})
    assert (array[...] == IMAGE).all()


@pytest.mark.parametrize(
    ("text", "name"), [("nonsense", "nonsense"), ("ratio=3", "ratio"), ("num_resolutions=99", "num_resolutions")]
)
def test_bad_metalayer(text, name):
    with pytest.raises(RuntimeError):
        store(IMAGE, meta={"jpeg2000": text})
    assert name in blosc2_grok.last_error()
    assert "jpeg2000" in blosc2_grok.last_error()


def test_meta_overrides_defaults_and_keeps_the_rest():
    blosc2_grok.set_params_defaults(quality_mode="dB", quality_layers=[20], num_resolutions=3)
    array = store(IMAGE, codec_meta=50)
    check(array, 5, num_resolutions=3)
    assert blosc2_grok.get_params_defaults()["quality_mode"] == "dB"


@pytest.mark.parametrize("meta", [1, 5, 10])
def test_a_ratio_up_to_1_is_lossless(meta):
    assert (store(IMAGE, codec_meta=meta)[...] == IMAGE).all()


@pytest.mark.parametrize("meta", [20, 100, 255])
@pytest.mark.parametrize("codec", [37, J2K])
def test_meta(meta, codec):
    image = picture(200, 240, 1, 4000, np.uint16)
    array = store(image, codec=codec, codec_meta=meta)
    size = len(payloads(array)[0])
    assert size <= 1.01 * image.nbytes / (meta / 10)
    assert psnr(array[...], image, 4000) > 30


def test_lossy_defaults_to_97_and_lossless_to_53():
    for params, irreversible in [
        ({}, False),
        ({"quality_mode": "rates", "quality_layers": [10]}, True),
        ({"quality_mode": "dB", "quality_layers": [40]}, True),
        ({"quality_mode": "rates", "quality_layers": [10], "irreversible": False}, False),
        ({"irreversible": True}, True),
    ]:
        blosc2_grok.set_params_defaults()
        blosc2_grok.set_params_defaults(**params)
        assert blosc2_grok.info(payloads(store(IMAGE))[0])["irreversible"] is irreversible


def test_per_block_rates_in_a_stack():
    stack = np.stack([picture(100, 120, 1, 4000, np.uint16, seed=n) for n in range(4)])
    array = store(stack, codec_meta=100, chunks=(4, 100, 120), blocks=(1, 100, 120))
    sizes = [len(file) for file in payloads(array)]
    assert len(sizes) == 4
    assert all(0.85 * stack[0].nbytes / 10 < size <= stack[0].nbytes / 10 for size in sizes)
    assert psnr(array[...], stack, 4000) > 35


def test_cparams_of_blosc2_keep_working():
    array = blosc2.asarray(
        IMAGE, chunks=IMAGE.shape, blocks=IMAGE.shape, cparams=blosc2.CParams(**cparams(codec_meta=80))
    )
    assert array.schunk.cparams.codec_meta == 80
    check(array, 8)


@pytest.mark.parametrize("codec", [HTJ2K, OPENHTJ2K])
@pytest.mark.parametrize(("mode", "target"), [("rates", 8), ("dB", 40)])
def test_quality_in_ht(codec, mode, target):
    image = picture(256, 256)
    blosc2_grok.set_params_defaults(quality_mode=mode, quality_layers=[target])
    array = store(image, codec=codec)
    coded = len(payloads(array)[0])
    quality = psnr(image, array[...], 255)
    if mode == "rates":
        assert 0.97 <= coded * target / image.nbytes <= 1
        assert quality > 30
    else:
        assert target <= quality <= target + 0.3
