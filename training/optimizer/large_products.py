"""Large matrix products of a compiled update through oneDNN.

Torch's own go through MKL, which does not use the AVX-512 of processors that are not Intel's; oneDNN does. Where there
is no AVX-512, MKL is faster. Small products stay where they are, as calling oneDNN costs more.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

LEAST_MULTIPLICATIONS = 2**22
LEAST_SIZE = 16
"""Of every side: thin products are bound by memory."""

aten = torch.ops.aten
_library = torch.library.Library("regimen", "DEF")
_library.define("product(Tensor left, Tensor right, Tensor? bias) -> Tensor")


def _product(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    """`left` [B, n] times `right` [n, m], plus `bias` [m]: [B, m].

    The sizes decide here once more: where they change from call to call they are not known before.
    """
    if not _is_large(left, right):
        return left @ right if bias is None else torch.addmm(bias, left, right)
    made: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), bias, "none", [], None)
    return made


_library.impl("product", _product, "CPU")
_library.impl("product", lambda left, right, _: left.new_empty(left.shape[0], right.shape[1]), "Meta")


def are_faster() -> bool:
    """Whether this processor has AVX-512, and this torch oneDNN."""
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


class LargeProducts(CustomGraphPass):
    """Exchanges the large products of a graph that the compiler is about to translate."""

    def __call__(self, graph: fx.Graph) -> None:
        for node in list(graph.nodes):
            if node.op != "call_function" or node.kwargs:
                continue
            with graph.inserting_before(node):
                made = self._exchanged(graph, node)
            if made is not None:
                node.replace_all_uses_with(made)
                graph.erase_node(node)

    def uuid(self) -> Any:
        return get_hash_for_files((__file__,))  # the compiler's cache then tells one version of this file from another

    def _exchanged(self, graph: fx.Graph, node: fx.Node) -> fx.Node | None:
        """What `node` is to become; None: it stays."""
        bias: fx.Node | None = None
        if node.target in (aten.mm.default, aten.bmm.default):
            left, right = node.args
        elif node.target in (aten.addmm.default, aten.baddbmm.default):
            bias, left, right = node.args  # type: ignore[assignment]
        else:
            return None
        assert isinstance(left, fx.Node)
        assert isinstance(right, fx.Node)
        if not _is_large(left.meta["val"], right.meta["val"]):
            return None
        if node.target is aten.mm.default:
            return _call(graph, torch.ops.regimen.product.default, left, right, None)
        if node.target is aten.addmm.default:
            one_row = bias is not None and bias.meta["val"].dim() == 1
            return _call(graph, torch.ops.regimen.product.default, left, right, bias) if one_row else None
        members, _, columns = node.meta["val"].shape
        if bias is not None and bias.meta["val"].shape != (members, 1, columns):
            return None
        parts = []
        for member in range(members):
            own_left, own_right = (_call(graph, aten.select.int, side, 0, member) for side in (left, right))
            own_bias = bias and _call(graph, aten.select.int, _call(graph, aten.select.int, bias, 0, member), 0, 0)
            part = _call(graph, torch.ops.regimen.product.default, own_left, own_right, own_bias)
            parts.append(_call(graph, aten.unsqueeze.default, part, 0))
        joined = graph.call_function(aten.cat.default, (parts,))
        joined.meta["val"] = node.meta["val"]
        return joined


def _is_large(left: Tensor, right: Tensor) -> bool:
    sides = [_size(side) for side in (left.shape[-2], left.shape[-1], right.shape[-1])]
    return left.dtype == torch.float32 and min(sides) >= LEAST_SIZE and math.prod(sides) >= LEAST_MULTIPLICATIONS


def _size(side: int | torch.SymInt) -> int:
    """A size; one that may change from call to call may be large."""
    return side if isinstance(side, int) else LEAST_MULTIPLICATIONS


def _call(graph: fx.Graph, operation: Any, *arguments: Any) -> fx.Node:
    """A new node, with the shape of what it computes, which the compiler reads."""
    node = graph.call_function(operation, arguments)
    node.meta["val"] = operation(*(a.meta["val"] if isinstance(a, fx.Node) else a for a in arguments))
    return node
