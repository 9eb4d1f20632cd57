"""objref: a named object (counter, quota, limit, ct helper …) used by a rule, directly or through a map. net/netfilter/nft_objref.c"""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_INET, NFPROTO_IPV4
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Conn, HookResult
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, NF_DROP, Verdict
from pktdiag.netfilter.nft.wire import MalformedError, optional_register, string, u32


class Objref(NamedTuple):
    type: int
    name: str

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        return evaluate_object(self.type, self.name, regs, run)

    def acts(self) -> bool:
        from pktdiag.netfilter.nft.objects import SYNPROXY

        return self.type == SYNPROXY


class ObjrefMap(NamedTuple):
    sreg: int
    set_name: str

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_objref_map_eval: no element breaks the rule."""
        table = run.sets.get(run.table, self.set_name)
        if table is None:
            return Doubt(run.sets.missing(self.set_name), ("set", self.set_name))
        if regs.unknown_bits(self.sreg, table.key_length):
            return doubt(regs.var(self.sreg, table.key_length), f"is in the map {self.set_name}", self.set_name)
        found = table.find(regs.load(self.sreg, table.key_length), run)
        if isinstance(found, Doubt):
            return found
        if found is None:
            return BREAK
        return evaluate_object(table.info.object_type, found.objref, regs, run)

    def acts(self) -> bool:
        return True


def evaluate_object(kind: int, name: str, regs: Registers, run: Run) -> Outcome:
    """obj->type->eval()."""
    from pktdiag.netfilter.nft import objects

    if kind in objects.QUIET:
        return None
    if kind == objects.CT_EXPECT:
        # nft_ct_expect_obj_eval: an expectation is made by a connection that is not confirmed yet, nobody else matches
        conn = run.skb.ct
        if conn is None or conn.confirmed:
            return BREAK
        return _expect(name, conn, run)
    found = objects.find(run.ns, run.family, run.table, kind, name)
    if found is None:
        return Doubt(objects.missing(name), ("object", name))
    if kind == objects.CT_HELPER:
        conn = run.skb.ct
        # nft_ct_helper_obj_eval: only a connection that is not confirmed yet gets a helper
        if conn is not None and not conn.confirmed:
            conn.helper = objects.helper_name(found)
        return None
    expression = objects.expression(found)
    if kind == objects.QUOTA and hasattr(expression, "charge"):
        return expression.charge(run, ("nft quota", run.ns.id, run.family, run.table, name))  # type: ignore[no-any-return]
    return expression.evaluate(regs, run)


def _expect(name: str, conn: Conn, run: Run) -> Outcome:
    from pktdiag.conntrack.expect import announce
    from pktdiag.netfilter.nft import objects

    found = objects.find(run.ns, run.family, run.table, objects.CT_EXPECT, name)
    if found is None:
        return Doubt(objects.missing(name), ("object", name))
    family, proto, port = objects.expectation(found)
    inet = len(conn.orig.src) == 4 if family == NFPROTO_INET else family == NFPROTO_IPV4
    if announce(run.services.conns, run.ns, conn, inet, proto, port):
        return None
    return Verdict(NF_DROP, "", HookResult("drop", "NETFILTER_DROP", None, f"the connection cannot expect another one to port {port}: "
                                           "an earlier connection already does", None, "expectation-clash"))


def decode(attrs: dict[int, bytes]) -> Objref | ObjrefMap:
    sreg = optional_register(attrs, 3)
    if sreg is not None:
        return ObjrefMap(sreg, string(attrs, 4))
    if 2 not in attrs:
        raise MalformedError("neither name nor map")
    return Objref(u32(attrs, 1), string(attrs, 2))
