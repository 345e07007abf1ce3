"""The smallest and the largest value of every parameter of views is accepted, and the next beyond it is refused."""

import pytest

from skclr.views import VIEWS

WITH = {"audio": {"sampling_rate": 8_000}, "corruption": {"rate": 0.3}, "mixup": {"rate": 0.3}}
UP_TO_ONE = (0, 1), (-0.001, 1.001)
SHARES = {
    "audio": ("shift", "reverb", "noise", "time_mask", "frequency_mask"),
    "image": (
        *("flip", "vertical_flip", "translation", "jitter_probability", "brightness", "contrast", "saturation"),
        *("grey", "blur", "solarize"),
    ),
    "series": ("frequency_mask", "channel_mask", "time_mask"),
    "text": ("deletion", "span"),
    **dict.fromkeys(("corruption", "masking", "mixup"), ("rate",)),
}
# By view maker and parameter: accepted and refused values.
LIMITS = {
    **{(maker, name): UP_TO_ONE for maker, names in SHARES.items() for name in names},
    **{
        (maker, name): ([(0.001, 1), (1, 1)], [(0, 1), (0.5, 1.001), (0.9, 0.8)])
        for maker, name in (
            ("audio", "crop"),
            ("image", "crop_scale"),
            ("image", "local_scale"),
            ("series", "crop_scale"),
        )
    },
    **{(maker, "n_views"): ([2], [1, 2.5]) for maker in ("audio", "image", "series", "text", "neighbors")},
    **{(maker, "n_views"): ([1], [0, 1.5]) for maker in ("corruption", "masking", "jitter", "mixup")},
    **{("series", name): ([0, 99], [-0.001]) for name in ("time_warp", "jitter", "scaling", "magnitude_warp")},
    ("series", "segments"): ([1], [0, 1.5]),
    ("audio", "sampling_rate"): ([1], [0.999]),
    ("audio", "gain"): ([0], [-0.001]),
    ("audio", "speed"): ([0, 0.5], [-0.001, 0.501]),
    ("audio", "view_seconds"): ([1 / 8_000], [0.99 / 8_000]),
    ("audio", "reverb_seconds"): ([(0.001, 99)], [(0, 1), (2, 1)]),
    ("audio", "snr"): ([(-99, -99)], [(1, 0)]),
    ("image", "rotation"): ([0, 180], [-0.001, 180.001]),
    ("image", "hue"): ([0, 0.5], [-0.001, 0.501]),
    ("image", "n_local_views"): ([0], [-1, 1.5]),
    ("image", "local_size"): ([1], [0, 1.5]),
    ("image", "blur_sigma"): ([(0.001, 99)], [(0, 1), (2, 1)]),
    ("image", "crop_ratio"): ([(0.001, 1), (1, 99)], [(0, 1), (0.5, 0.999), (1.001, 2)]),
    ("text", "shuffle"): ([0], [-1, 1.5]),
    ("neighbors", "n_neighbors"): ([1], [0, 1.5]),
    ("jitter", "rate"): UP_TO_ONE,
}


def test_every_maker_is_tried():
    # `paired` has no numbers.
    assert {maker for maker, _ in LIMITS} | {"paired"} == set(VIEWS)


@pytest.mark.parametrize(("maker", "name"), LIMITS)
def test_limits(maker, name):
    accepted, refused = LIMITS[maker, name]
    for value in accepted:
        VIEWS[maker](**{**WITH.get(maker, {}), name: value})
    for value in refused:
        with pytest.raises(ValueError, match=name):
            VIEWS[maker](**{**WITH.get(maker, {}), name: value})
