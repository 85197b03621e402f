"""States as files: a JSON tree beside a safetensors file with the tensors and arrays of the tree. No pickle.

The tree is that of training/json_values.py, which here also has:

| object | value |
|---|---|
| `{"$tensor": name}`, `{"$array": name}` | the tensor or NumPy array of that name in the safetensors file |
| `{"$segment": name}` | arrays that never change under this name: in a file of their own, `training.state.Segment` |
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.json_values import decode, encode
from training.state import Segment, State

_DTYPES = {
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.bfloat16, torch.float16, torch.float32, torch.float64),
}
_ARRAY_DTYPES = {"bool", *(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64))} | {
    *("float16", "float32", "float64")
}


def state_files(part: str) -> tuple[str, str]:
    """The names of the two files that hold a part's state."""
    return f"{part}.json", f"{part}.safetensors"


def segment_file(part: str, name: str) -> str:
    """The name of the file that holds one of a part's segments."""
    return f"{part}.{name}.segment.safetensors"


def is_segment_of(part: str, file: str) -> bool:
    """Whether a file's name is that of one of the part's segments."""
    return file.startswith(f"{part}.") and file.endswith(".segment.safetensors")


def write_state(folder: Path, part: str, state: State, earlier: Path | None = None) -> list[str]:
    """Writes a part's state; raises TypeError with the dotted path of a value that cannot be saved.

    Segments that the folder `earlier` has are not written again where the file system has hard links: their files get a
    second name, and are freed with the last checkpoint that names them. Returns those files' names.

    Tensors that are contiguous, in main memory and share no storage are written without a copy. Tensors that share
    memory come back as separate tensors, parameters as plain tensors on the CPU, every mapping as a plain dict.
    """
    tree_name, tensors_name = state_files(part)
    tensors: dict[str, Tensor] = {}
    segments: dict[str, Segment] = {}
    tree = _encode(state, part, tensors, segments)
    (folder / tree_name).write_text(json.dumps(tree, indent=1, allow_nan=False) + "\n", encoding="ascii")
    save_file(_unshared(tensors), folder / tensors_name)
    return [file for file, segment in segments.items() if not _write_segment(folder / file, segment, earlier)]


def _write_segment(file: Path, segment: Segment, earlier: Path | None) -> bool:
    """Whether it had to be written: otherwise it is the same file as in the folder `earlier`."""
    if earlier is not None and (earlier / file.name).exists():
        try:
            os.link(earlier / file.name, file)
            return False
        except OSError:  # a file system without hard links
            pass
    arrays = {key: np.require(value, requirements=["C", "W"]) for key, value in segment.arrays.items()}
    save_file({key: torch.from_numpy(value) for key, value in arrays.items()}, file)
    return True


def load_state(folder: Path, part: str) -> State:
    """Reads what `write_state` wrote, equal to the bit."""
    tree_name, tensors_name = state_files(part)
    tree = json.loads((folder / tree_name).read_text(encoding="ascii"))
    state: State = _decode(tree, load_file(folder / tensors_name), folder / part)
    return state


def _encode(state: State, part: str, tensors: dict[str, Tensor], segments: dict[str, Segment]) -> Any:
    def other(value: Any, path: str) -> Any:
        if type(value) is Segment:
            segments[segment_file(part, value.name)] = value
            return {"$segment": value.name}
        if isinstance(value, Tensor) and _supported(value):
            return {"$tensor": _put(value.detach().resolve_neg().contiguous(), path, tensors)}
        if type(value) is np.ndarray and value.dtype.name in _ARRAY_DTYPES and value.dtype.isnative:
            # torch takes over the array's memory; it wants it writable, and contiguous keeps arrays of no dimension.
            return {"$array": _put(torch.from_numpy(np.require(value, requirements=["C", "W"])), path, tensors)}
        kind, dtype = type(value), f" of {value.dtype}" if isinstance(value, Tensor | np.ndarray) else ""
        raise TypeError(
            f"{path} is a {kind.__module__}.{kind.__qualname__}{dtype}, which a checkpoint cannot hold: it takes "
            "nested dicts, lists and tuples of dense tensors, NumPy arrays, bool, int, float, str and None"
        )

    return encode(state, part, other)


def _supported(tensor: Tensor) -> bool:
    return tensor.dtype in _DTYPES and tensor.layout == torch.strided and tensor.device.type != "meta"


def _put(tensor: Tensor, path: str, tensors: dict[str, Tensor]) -> str:
    # The number keeps names apart when a key contains a dot; safetensors takes no unpaired surrogates.
    name = f"{len(tensors)}:{path}".encode("ascii", "backslashreplace").decode()
    tensors[name] = tensor
    return name


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without common storage, which safetensors refuses."""
    seen: set[tuple[torch.device, int]] = set()
    result = {}
    for name, tensor in tensors.items():
        storage = (tensor.device, tensor.untyped_storage().data_ptr())
        result[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return result


def _decode(tree: Any, tensors: dict[str, Tensor], part: Path) -> Any:
    def other(tag: str, value: Any) -> Any:
        match tag:
            case "$tensor":
                return tensors[value]
            case "$array":
                return tensors[value].numpy()
            case "$segment":
                file = part.with_name(segment_file(part.name, value))
                return Segment(value, {key: tensor.numpy() for key, tensor in load_file(file).items()})
        raise ValueError(f"it holds {tag}, which this version of the program does not know")

    return decode(tree, other)
