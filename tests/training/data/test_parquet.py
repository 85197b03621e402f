"""Tables that are larger than memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.core import Counters
from training.data.parquet import map_parquet
from training.data.sources import (
    numpy_dataset,
    table,
)
from training.data.streams import Shuffled
from training.errors import UserError


def test_a_large_parquet_file_is_mapped_part_by_part(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=1000), "b": rng.integers(0, 9, 1000), "y": rng.integers(0, 3, 1000)}
    file = tmp_path / "large.parquet"
    parquet.write_table(pa.table({**columns, "town": ["x"] * 1000}), file, row_group_size=300)
    folder = map_parquet(file, tmp_path / "mapped", target="y", inputs=["a", "b"])
    mapped, whole = numpy_dataset(folder), table(file, target="y", inputs=["a", "b"])
    assert isinstance(mapped.arrays["input"], np.memmap)
    stream, same = Shuffled(mapped, 64, seed=1), Shuffled(whole, 64, seed=1)
    for _ in range(20):  # into the second epoch
        (batch, _, _), (other, _, _) = stream.next(Counters()), same.next(Counters())
        assert torch.equal(batch["input"], other["input"])
        assert torch.equal(batch["target"], other["target"])
    again = Shuffled(mapped, 64, seed=1)
    again.load_state_dict(stream.state_dict())
    assert torch.equal(again.next(Counters())[0]["input"], same.next(Counters())[0]["input"])
    with pytest.raises(UserError, match="column 'town' holds string: it takes numbers"):
        map_parquet(file, tmp_path / "other", target="y", inputs=["town"])
    assert not (tmp_path / "other").exists()
