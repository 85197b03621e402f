"""The one checkpoint layer: named parts of a run, saved atomically, verified when read, without pickle.

A checkpoint is a folder `<updates>/` that holds, for every part, the files of `training/run/serialization.py`, and
`manifest.json` with the SHA-256 of each. It is written under another name and renamed when all of it is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from training.core import Counters, Every
from training.errors import UserError, require
from training.run.files import sha256, sync, write_json
from training.run.serialization import is_segment_of, load_state, state_files, write_state
from training.state import State, Stateful

FORMAT = 2
_UNFINISHED, _UNWANTED, _DAMAGED = ".unfinished", ".unwanted", ".damaged"


@dataclass(frozen=True)
class Score:
    """How well the policy did, and when."""

    value: float
    counters: Counters


@dataclass(frozen=True)
class CheckpointConfig:
    """When to save, and how many checkpoints to keep beside the best."""

    every: Every = field(default_factory=lambda: Every(50_000))
    keep_last: int = 3

    def __post_init__(self) -> None:
        require(self.keep_last >= 1, "keep_last", self.keep_last, "at least 1")


class DamagedError(UserError):
    """A checkpoint is not what was written."""


class Checkpoint:
    """Saves and restores the named parts of one run. One process at a time may use the folder.

    `position` holds the counters of what was last restored or saved (None before), `best_score` the highest score,
    `scores_since_best` how many came after it, `loading` the part that is given its state just now, which may not fit
    it, and `unmeasured` whether the evaluation that was due at what was restored is still to be made.
    """

    def __init__(self, folder: Path, parts: Mapping[str, Stateful], *, every: Every, keep_last: int = 3) -> None:
        for name in parts:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == "manifest":
                raise ValueError(f"{name!r} cannot name a part: it takes a-z, 0-9 and _, and not 'manifest'")
        self.every = every
        self.position: Counters | None = None
        self.best_score: Score | None = None
        self.scores_since_best = 0
        self.loading: str | None = None
        self.unmeasured = False
        self._folder = folder
        self._parts = dict(parts)
        self._keep_last = keep_last
        self._saved_inexact: list[str] = []

    @property
    def last(self) -> Path | None:
        """The newest checkpoint."""
        return newest(self._folder)

    @property
    def best(self) -> Path | None:
        """The checkpoint with the highest score."""
        return _best(self._folder, self.best_score)

    @property
    def inexact(self) -> list[str]:
        """Why the run is not the same, bit for bit, as an uninterrupted one; empty when it is."""
        reasons = (reason for part in self._parts.values() for reason in getattr(part, "inexact", ()))
        return list(dict.fromkeys([*self._saved_inexact, *reasons]))

    def score(self, value: float, now: Counters) -> bool:
        """Takes a score (higher is better); True when it is a new best, which the caller then saves at once."""
        if not math.isfinite(value) or (self.best_score is not None and value <= self.best_score.value):
            self.scores_since_best += 1
            return False
        self.best_score, self.scores_since_best = Score(float(value), now), 0
        return True

    def save(self, now: Counters, *, unmeasured: bool = False) -> Path:
        """Saves every part; a second save at the same counters keeps the states of the first.

        `unmeasured`: the evaluation that is due here was not made, see there.

        Raises TypeError with the dotted path of a value that no checkpoint can hold. A save that fails leaves the
        earlier checkpoints as they were.
        """
        self._remove_leftovers()
        target = self._folder / _name(now)
        if target.exists():
            self._update_manifest(target, now)
        else:
            self._write(target, now, unmeasured=unmeasured)
        self.position = now
        folders = newest_first(self._folder)
        keep = {*folders[: self._keep_last], self.best}
        self._remove(folder for folder in folders if folder not in keep)
        return target

    def restore(self) -> Counters:
        """Gives every part its state of the newest intact checkpoint; zero counters when there is no checkpoint.

        Damaged checkpoints that are newer are named on stderr and set aside under another name. Raises UserError when
        all are damaged, when one has a newer format, and when its parts are not the parts of this run.
        """
        self._remove_leftovers()
        damaged: dict[Path, DamagedError] = {}
        for folder in newest_first(self._folder):
            try:
                manifest = _verified(folder)
                break
            except DamagedError as error:
                damaged[folder] = error
        else:
            if damaged:
                raise UserError("no checkpoint can be restored: " + "; ".join(map(str, damaged.values())))
            self.position = Counters()
            return self.position
        self._require_same_parts(folder, manifest["parts"])
        for damaged_folder, reason in damaged.items():
            aside = self._set_aside(damaged_folder)
            print(f"{reason}; set aside as {aside.name}, continuing from {folder.name}", file=sys.stderr)
        for name, part in self._parts.items():
            state = _load(folder, name)
            self.loading = name
            part.load_state_dict(state)
            self.loading = None
        self._saved_inexact = manifest["inexact"]
        self.best_score = _score(manifest["best"])
        if self.best is None:  # it was among the damaged ones: the next score is the best that can be kept
            self.best_score = None
        self.scores_since_best = manifest.get("scores_since_best", 0)
        self.unmeasured = manifest.get("unmeasured", False)
        self.position = Counters(**manifest["counters"])
        return self.position

    def _write(self, target: Path, now: Counters, *, unmeasured: bool) -> None:
        if not self._folder.exists():
            self._folder.mkdir(parents=True)
            sync(self._folder.parent)
        unfinished = target.with_name(target.name + _UNFINISHED)
        unfinished.mkdir()
        hashes: dict[str, str] = {}
        try:
            earlier, known = self._earlier()
            for name, part in self._parts.items():
                shared = write_state(unfinished, name, part.state_dict(), earlier)
                hashes |= {file: known[file] for file in shared}
            for file in sorted(unfinished.iterdir()):
                if file.name not in hashes:
                    sync(file)
                    hashes[file.name] = sha256(file)
            self._write_manifest(unfinished, now, hashes, unmeasured=unmeasured)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        os.rename(unfinished, target)
        sync(self._folder)

    def _earlier(self) -> tuple[Path | None, dict[str, str]]:
        """The checkpoint that was restored or saved last, and the hashes of its files.

        They were compared or made then: what it shares with the next one is neither written nor hashed again.
        """
        if self.position is None or not (folder := self._folder / _name(self.position)).exists():
            return None, {}
        return folder, _read_manifest(folder)["sha256"]

    def _write_manifest(self, folder: Path, now: Counters, hashes: dict[str, str], *, unmeasured: bool) -> None:
        manifest = {
            "format": FORMAT,
            "counters": asdict(now),
            "parts": sorted(self._parts),
            "best": None if self.best_score is None else asdict(self.best_score),
            "scores_since_best": self.scores_since_best,
            "inexact": self.inexact,
            "unmeasured": unmeasured,
            "sha256": hashes,
        }
        _write_manifest(folder, manifest)

    def _update_manifest(self, folder: Path, now: Counters) -> None:
        """The states are saved already; a score may have come since."""
        manifest = _read_manifest(folder)
        if manifest["counters"] != asdict(now):
            raise RuntimeError(f"checkpoint {folder} was saved at {manifest['counters']}, not at {asdict(now)}")
        told = _score(manifest["best"]), manifest.get("scores_since_best", 0), manifest["inexact"]
        if told != (self.best_score, self.scores_since_best, self.inexact):
            self._write_manifest(folder, now, manifest["sha256"], unmeasured=manifest.get("unmeasured", False))

    def _require_same_parts(self, folder: Path, saved: list[str]) -> None:
        for name in self._parts:
            if name not in saved:
                raise UserError(f"checkpoint {folder} has no part {name!r}, which this experiment has: did it change?")
        for name in saved:
            if name not in self._parts:
                raise UserError(f"checkpoint {folder} has a part {name!r}, which this experiment lacks: did it change?")

    def _set_aside(self, folder: Path) -> Path:
        aside = folder.with_name(folder.name + _DAMAGED)
        if aside.exists():
            shutil.rmtree(aside)
        os.rename(folder, aside)
        sync(self._folder)
        return aside

    def _remove(self, folders: Iterable[Path]) -> None:
        """Renames first: what a crash leaves behind is never mistaken for a checkpoint."""
        unwanted = [(folder, folder.with_name(folder.name + _UNWANTED)) for folder in folders]
        for folder, aside in unwanted:
            os.rename(folder, aside)
        if unwanted:
            sync(self._folder)
        for _, aside in unwanted:
            shutil.rmtree(aside)

    def _remove_leftovers(self) -> None:
        for suffix in (_UNFINISHED, _UNWANTED):
            for folder in self._folder.glob(f"*{suffix}"):
                shutil.rmtree(folder)
        if (last := self.last) is not None:
            (last / f"manifest.json{_UNFINISHED}").unlink(missing_ok=True)


def read_state(folder: Path, part: str) -> State:
    """Reads one part of one checkpoint folder; raises UserError when it is damaged or has no such part."""
    manifest = _read_manifest(folder)
    if part not in manifest["parts"]:
        raise UserError(f"checkpoint {folder} has no part {part!r}: it has {', '.join(manifest['parts'])}")
    own = (*state_files(part), *(name for name in manifest["sha256"] if is_segment_of(part, name)))
    _verify_files(folder, manifest, own)
    return _load(folder, part)


def forget_best(folder: Path) -> None:
    """None of the checkpoints in the folder is the best any more: what comes is measured otherwise."""
    for checkpoint in newest_first(folder):
        with suppress(DamagedError):  # which is told where it is restored
            _write_manifest(checkpoint, {**_read_manifest(checkpoint), "best": None, "scores_since_best": 0})


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in the folder; those that are unfinished, unwanted or damaged have other names."""
    if not folder.exists():
        return []
    checkpoints = (path for path in folder.iterdir() if path.name.isdecimal())
    return sorted(checkpoints, key=lambda path: int(path.name), reverse=True)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in the folder."""
    return next(iter(newest_first(folder)), None)


def read_best(folder: Path) -> Path | None:
    """The checkpoint with the highest score, as the newest one knows it."""
    last = newest(folder)
    return None if last is None else _best(folder, _score(_read_manifest(last)["best"]))


def _best(folder: Path, score: Score | None) -> Path | None:
    if score is None:
        return None
    checkpoint = folder / _name(score.counters)
    return checkpoint if checkpoint.exists() else None


def _name(counters: Counters) -> str:
    return f"{counters.updates:010d}"


def _score(saved: dict[str, Any] | None) -> Score | None:
    return None if saved is None else Score(saved["value"], Counters(**saved["counters"]))


def _verified(folder: Path) -> dict[str, Any]:
    manifest = _read_manifest(folder)
    _verify_files(folder, manifest, manifest["sha256"])
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        checksum, version = manifest.pop("checksum"), int(manifest["format"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedError(f"checkpoint {folder} is damaged: manifest.json cannot be read ({error})") from None
    # Every format keeps this checksum, so that damage is not mistaken for a newer format.
    if checksum != _checksum(manifest):
        raise DamagedError(f"checkpoint {folder} is damaged: manifest.json is not what was written")
    if version > FORMAT:
        raise UserError(f"checkpoint {folder} has format {version}; this version of the program reads up to {FORMAT}")
    return dict(manifest)


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_json(folder / "manifest.json", {**manifest, "checksum": _checksum(manifest)})


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _verify_files(folder: Path, manifest: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        try:
            intact = sha256(folder / name) == manifest["sha256"][name]
        except OSError as error:
            raise DamagedError(f"checkpoint {folder} is damaged: {name} cannot be read ({error.strerror})") from None
        if not intact:
            raise DamagedError(f"checkpoint {folder} is damaged: {name} is not what was written (SHA-256 differs)")


def _load(folder: Path, part: str) -> State:
    try:
        return load_state(folder, part)
    except (SafetensorError, OSError, ValueError, LookupError) as error:
        raise DamagedError(f"checkpoint {folder} is damaged: part {part!r} cannot be read ({error})") from None
