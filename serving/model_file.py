"""A model as a file that other programs run: ONNX, or torch's exported program; and whether it does the same."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.fx
from numpy.typing import NDArray
from torch import Tensor, nn

from serving.signature import Signature, names_of
from training.errors import UserError
from training.extras import extra

Format = Literal["onnx", "pt2"]
Arrays = dict[str, NDArray[Any]]
Call = Callable[[Mapping[str, NDArray[Any]]], Arrays]
"""Named inputs [N, ...] -> named outputs [N, ...]."""


def write_model(module: nn.Module, signature: Signature, example: Arrays, path: Path) -> None:
    """Writes a module that maps a dict of tensors to a dict of tensors, with inputs and outputs by their names.

    Args:
        module: on the CPU, in evaluation mode.
        signature: its inputs and outputs.
        example: inputs of at least two rows; the number of rows stays free.
        path: its ending, .onnx or .pt2, says as what.

    Raises:
        UserError: the module does something that cannot be exported, or the extra is missing.
    """
    batch = torch.export.Dim("batch", min=1)
    tensors = {name: torch.from_numpy(value) for name, value in example.items()}
    shapes = {"inputs": {name: {0: batch} for name in tensors}}
    if path.suffix == ".onnx":
        with extra("export"):
            import onnxscript  # noqa: F401 - the exporter needs it, and tells of it in a longer way
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(module, (tensors,), dynamic_shapes=shapes)
            _forget_files(program)
            if path.suffix == ".pt2":
                torch.export.save(program, path)
            else:
                _write_onnx(program, signature, path)
    except Exception as error:  # whatever a network of somebody's own does
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{type(module).__name__} cannot be exported as {path.suffix[1:]}: {told[0]}") from error


def load_model(path: Path, signature: Signature) -> Call:
    """An exported model as a function, on one thread."""
    if path.suffix == ".onnx":
        return _load_onnx(path, signature)
    program = torch.export.load(path).module()

    @torch.no_grad()
    def call(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        found = program({name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in found.items()}

    return call


def as_call(module: nn.Module) -> Call:
    """A module as a function of arrays."""

    @torch.no_grad()
    def call(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        found: dict[str, Tensor] = module({name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in found.items()}

    return call


def _forget_files(program: torch.export.ExportedProgram) -> None:
    """The exporter notes for every operation which line of which file it comes from: paths of this machine."""
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            for name in ("stack_trace", "nn_module_stack", "source_fn_stack"):
                node.meta.pop(name, None)


def _write_onnx(program: torch.export.ExportedProgram, signature: Signature, path: Path) -> None:
    names: dict[str, Any] = {
        "input_names": names_of(signature.inputs),
        "output_names": names_of(signature.outputs),
    }
    written = torch.onnx.export(program, dynamo=True, optimize=True, verbose=False, **names)
    assert written is not None
    for node in written.model.graph.all_nodes():
        node.metadata_props.clear()
    written.save(path, external_data=False)


def _load_onnx(path: Path, signature: Signature) -> Call:
    with extra("export"):
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {value.name: value.type for value in session.get_inputs()}
    wanted = names_of(signature.outputs)
    assert set(given) <= set(names_of(signature.inputs)), "an exported model has no other inputs than its signature"

    def call(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        found = session.run(wanted, {name: np.ascontiguousarray(inputs[name]) for name in given})
        return dict(zip(wanted, found, strict=True))

    return call


class _quiet:  # noqa: N801 - it is used as a function
    """The exporters tell of their own workings; what goes wrong they raise."""

    def __enter__(self) -> None:
        self._kept = logging.root.manager.disable
        logging.disable(logging.WARNING)
        self._parts = (warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()))
        for part in self._parts:
            part.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *raised: Any) -> None:
        for part in reversed(self._parts):
            part.__exit__(*raised)
        logging.disable(self._kept)
