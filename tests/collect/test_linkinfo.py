"""What a bridge port says is read alike the first and the hundredth time, whatever stands in it."""

from __future__ import annotations

import random
import struct

import pytest

from pktdiag.collect import rtnl_linkinfo


def message(rng: random.Random, sizes: list[tuple[int, int]]) -> bytes:
    return b"".join(struct.pack("=HH", size + 4, kind) + rng.randbytes(size) + bytes(-size & 3) for kind, size in sizes)


@pytest.mark.parametrize("seed", range(20))
def test_a_known_shape_reads_as_an_unknown_one(seed: int) -> None:
    rng = random.Random(seed)
    layout = rtnl_linkinfo._SLAVES["bridge"]
    sizes = [(kind, rng.choice((1, 2, 4, 8) if seed % 4 else (1, 2, 6))) for kind in rng.sample(range(1, 50), rng.randrange(1, 45))]
    rtnl_linkinfo._shapes.clear()
    for count in range(2 * rtnl_linkinfo._WORTH_A_SHAPE):
        data = message(rng, sizes if count % 3 else rng.sample(sizes, len(sizes)))
        quick = rtnl_linkinfo._decode(layout, data)
        learnt = dict(rtnl_linkinfo._shapes)
        rtnl_linkinfo._shapes.clear()
        assert rtnl_linkinfo._decode(layout, data) == quick
        rtnl_linkinfo._shapes.clear()
        rtnl_linkinfo._shapes.update(learnt)
    if seed % 4:
        assert any(isinstance(shape, rtnl_linkinfo._Shape) for shape in rtnl_linkinfo._shapes.values())


def test_a_cut_off_message_has_no_shape() -> None:
    data = message(random.Random(1), [(1, 1), (2, 2), (3, 4)])
    for end in range(len(data)):
        for _ in range(2 * rtnl_linkinfo._WORTH_A_SHAPE):
            assert isinstance(rtnl_linkinfo.decode_slave("bridge", data[:end]), dict)
