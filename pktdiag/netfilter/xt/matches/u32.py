"""u32: arithmetic on the packet's bytes. net/netfilter/xt_u32.c: u32_match_it."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, xor
from pktdiag.netfilter.xt.wire import Wire, wire_of

AND, LEFT, RIGHT, AT = range(4)
SIGNS = ("&", "<<", ">>", "@")
TEST_SIZE, ELEMENTS = 180, 11


class Test(NamedTuple):
    """struct xt_u32_test."""

    start: int
    steps: tuple[tuple[int, int], ...]
    """(operation, operand)"""
    ranges: tuple[tuple[int, int], ...]


class U32(NamedTuple):
    """struct xt_u32."""

    tests: tuple[Test, ...]
    invert: bool


def decode(rev: int, data: bytes, family: int) -> U32:
    if rev != 0:
        raise UnknownRevisionError
    count, invert = data[TEST_SIZE * ELEMENTS], data[TEST_SIZE * ELEMENTS + 1]
    if count > ELEMENTS:
        raise ValueError("u32")
    tests = []
    for at in range(0, count * TEST_SIZE, TEST_SIZE):
        numbers, values = unpack_from("=BB", data, at + 176)
        if not 1 <= numbers <= ELEMENTS or values > ELEMENTS:
            raise ValueError("u32")
        places = [unpack_from("=IB3x", data, at + 8 * i) for i in range(numbers)]
        if any(operation > AT for _, operation in places[1:]):
            raise ValueError("u32")
        ranges = tuple(unpack_from("=II", data, at + 88 + 8 * i) for i in range(values))
        tests.append(Test(places[0][0], tuple((operation, number) for number, operation in places[1:]), ranges))
    return U32(tuple(tests), bool(invert))


def evaluate(info: U32, ctx: HookContext) -> Tri:
    wire = wire_of(ctx.skb.packet)
    unsure: Unknown | None = None
    for test in info.tests:
        answer = _holds(test, wire)
        if answer is False:
            return info.invert
        if answer is None:
            unsure = Unknown(f"the packet's bytes satisfy u32 {_expression(test)}")
    return xor(unsure, info.invert) if unsure is not None else not info.invert


def _holds(test: Test, wire: Wire) -> bool | None:
    """None: bytes that cannot be known decide."""
    base = 0
    field = wire.load(test.start, 4)
    if field is None:
        return False
    value, known = field
    for operation, number in test.steps:
        if operation == AND:
            value, known = value & number, known | ~number & 0xFFFFFFFF
        elif operation == LEFT:
            shift = number & 31
            value, known = value << shift & 0xFFFFFFFF, (known << shift | (1 << shift) - 1) & 0xFFFFFFFF
        elif operation == RIGHT:
            shift = number & 31
            value, known = value >> shift, known >> shift | 0xFFFFFFFF ^ 0xFFFFFFFF >> shift
        else:
            if known != 0xFFFFFFFF:
                return None
            base += value
            field = wire.load(base + number, 4)
            if field is None:
                return False
            value, known = field
    highest = value | ~known & 0xFFFFFFFF
    if not any(low <= highest and value <= high for low, high in test.ranges):
        return False
    return True if value == highest or any(low <= value and highest <= high for low, high in test.ranges) else None


def _expression(test: Test) -> str:
    place = f"{test.start:#x}" + "".join(f"{SIGNS[operation]}{number:#x}" for operation, number in test.steps)
    return place + "=" + ",".join(f"{low:#x}" if low == high else f"{low:#x}:{high:#x}" for low, high in test.ranges)


def render(info: U32, family: int) -> str:
    return f'{bang(info.invert)}--u32 "' + "&&".join(_expression(test) for test in info.tests) + '"'
