"""States as files: a JSON tree beside a safetensors file with the tensors and arrays of the tree. No pickle.

The tree is plain JSON, where an object with one key that starts with a dollar sign stands for what JSON lacks:

| object | value |
|---|---|
| `{"$tensor": name}`, `{"$array": name}` | the tensor or NumPy array of that name in the safetensors file |
| `{"$segment": name}` | arrays that never change under this name: in a file of their own, `training.state.Segment` |
| `{"$int": "-0x1f"}` | an integer that needs more than 53 bits |
| `{"$float": "7ff0000000000000"}` | the 8 bytes (big endian) of a float that is not finite |
| `{"$tuple": [...]}` | a tuple |
| `{"$dict": [[key, value], ...]}` | a dict with keys that are no strings or start with a dollar sign |
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.state import Segment, State

_DTYPES = {
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.bfloat16, torch.float16, torch.float32, torch.float64),
}
_ARRAY_DTYPES = {"bool", *(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64))} | {
    *("float16", "float32", "float64")
}
_EXACT_JSON_INTEGERS = 2**53  # beyond it, readers that hold JSON numbers as floats round


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


def _encode(value: Any, path: str, tensors: dict[str, Tensor], segments: dict[str, Segment]) -> Any:
    # Exact types: a subclass (an enum, a NumPy scalar) would come back as something else.
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) <= _EXACT_JSON_INTEGERS else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
    if kind is list:
        return [_encode(item, f"{path}.{index}", tensors, segments) for index, item in enumerate(value)]
    if kind is tuple:
        return {"$tuple": _encode(list(value), path, tensors, segments)}
    if kind is Segment:
        segments[segment_file(path.partition(".")[0], value.name)] = value
        return {"$segment": value.name}
    if isinstance(value, dict):
        return _encode_dict(value, path, tensors, segments)
    if isinstance(value, Tensor) and _supported(value):
        return {"$tensor": _put(value.detach().resolve_neg().contiguous(), path, tensors)}
    if kind is np.ndarray and value.dtype.name in _ARRAY_DTYPES and value.dtype.isnative:
        # torch takes over the array's memory; it wants it writable, and contiguous keeps arrays of no dimension.
        return {"$array": _put(torch.from_numpy(np.require(value, requirements=["C", "W"])), path, tensors)}
    dtype = f" of {value.dtype}" if isinstance(value, Tensor | np.ndarray) else ""
    raise TypeError(
        f"{path} is a {kind.__module__}.{kind.__qualname__}{dtype}, which a checkpoint cannot hold: it takes nested "
        "dicts, lists and tuples of dense tensors, NumPy arrays, bool, int, float, str and None"
    )


def _encode_dict(
    value: dict[Any, Any], path: str, tensors: dict[str, Tensor], segments: dict[str, Segment]
) -> dict[str, Any]:
    for key in value:
        if type(key) not in (str, int):
            raise TypeError(f"{path} has the key {key!r} of type {type(key).__name__}: keys are str or int")
    items = {key: _encode(item, f"{path}.{key}", tensors, segments) for key, item in value.items()}
    if all(isinstance(key, str) and not key.startswith("$") for key in items):
        return items
    return {"$dict": [[_encode(key, path, tensors, segments), item] for key, item in items.items()]}


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


def _decode(node: Any, tensors: dict[str, Tensor], part: Path) -> Any:
    if isinstance(node, list):
        return [_decode(item, tensors, part) for item in node]
    if not isinstance(node, dict):
        return node
    tag: str | None
    value: Any
    tag, value = next(iter(node.items())) if len(node) == 1 else (None, None)
    match tag:
        case "$tensor":
            return tensors[value]
        case "$array":
            return tensors[value].numpy()
        case "$segment":
            file = part.with_name(segment_file(part.name, value))
            return Segment(value, {key: tensor.numpy() for key, tensor in load_file(file).items()})
        case "$int":
            return int(value, 16)
        case "$float":
            return struct.unpack(">d", bytes.fromhex(value))[0]
        case "$tuple":
            return tuple(_decode(value, tensors, part))
        case "$dict":
            return {_decode(key, tensors, part): _decode(item, tensors, part) for key, item in value}
    return {key: _decode(item, tensors, part) for key, item in node.items()}
