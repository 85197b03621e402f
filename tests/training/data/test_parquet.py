"""Tables that are larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.core import Counters
from training.data.parquet import map_parquet
from training.data.sources import numpy_dataset
from training.data.streams import Shuffled
from training.data.tables import table
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


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (np.arange(1000), "auto", np.float32),
        (np.arange(1000), "classes", np.int64),
        (np.arange(1000) % 3, "auto", np.int64),
        (np.arange(1000) % 3 * 1.0, "auto", np.int64),
        (np.arange(1000) % 3, "numbers", np.float32),
        (np.arange(1000) % 3 == 0, "auto", np.int64),
    ],
)
def test_targets_are_taken_for_what_a_table_takes_them(values: Any, kind: Any, dtype: type, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "made_up.parquet"
    parquet.write_table(pa.table({"x": np.arange(1000.0), "y": values}), file, row_group_size=300)
    mapped = numpy_dataset(map_parquet(file, tmp_path / "mapped", target="y", inputs=["x"], target_kind=kind))
    whole = table(file, target="y", target_kind=kind)
    assert mapped.array("target").dtype == whole.array("target").dtype == dtype
    assert np.array_equal(mapped.array("target"), values)


def test_missing_targets_are_counted_over_all_parts(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "made_up.parquet"
    target = pa.array([None if i % 100 == 0 else i % 3 for i in range(1000)])
    parquet.write_table(pa.table({"x": np.arange(1000.0), "y": target}), file, row_group_size=300)
    with pytest.raises(UserError, match=r"made_up\.parquet: column 'y' is missing in 10 rows of 1000"):
        map_parquet(file, tmp_path / "mapped", target="y", inputs=["x"])
    assert list(tmp_path.iterdir()) == [file]
