"""Runs handed on: pushed to a shelf and pulled from it, safetensors and JSON alone, every file by its SHA-256.

    manifest.json         what is there: each file with its size and SHA-256; written last
    README.md             the card, for people; never read back
    config.json ...       the files of the run, with its newest and its best checkpoint

Nothing that is pulled can run: what is no safetensors and no JSON, is a link, lies elsewhere, is not named in the
manifest or is not what it says there is refused before anything is kept. The hashes show damage and change on the way;
they do not show who made the run.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from serving.card import card
from serving.shelf import Shelf
from training.errors import UserError, require
from training.run.checkpoint import newest, read_best
from training.run.files import read_json, sha256
from training.run.folder import is_held, read_settings
from training.run.runs import RUNS
from training.run.stages import require_no_stage, stage_folders

FORMAT = 1
MANIFEST, CARD = "manifest.json", "README.md"
KINDS = (".json", ".jsonl", ".safetensors")
"""What a shared run is made of; a line of JSON after the other in .jsonl."""
BESIDE = (MANIFEST, CARD, ".gitattributes")
"""What else may lie there; Hugging Face puts the last one into every repository."""
OF_A_RUN = ("config.json", "environment.json", "result.json", "metrics.jsonl", "timing.jsonl")
MOST_FILES, MOST_MANIFEST_BYTES = 10_000, 2**22
PIECE_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.-]*")


@dataclass(frozen=True)
class Pushed:
    """What lies on a shelf."""

    address: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Pulled:
    """What was taken from a shelf."""

    folder: Path
    settings: dict[str, Any]
    result: dict[str, Any]
    names_code: list[str]
    """Modules that its config names, such as an environment of somebody's own: what acts with it imports them here."""


def push(run: Path, target: str, *, paths: bool = False) -> Pushed:
    """Puts a run on a shelf, which is empty or holds an earlier state of it.

    Tracker and parent stay here: they name accounts and folders of whoever made it.

    Args:
        run: its folder; nobody is training it.
        target: the address of the shelf.
        paths: paths of this machine in the config may be seen there.

    Raises:
        UserError: the run goes on, its config holds such paths, or the shelf holds something else.
    """
    settings = read_settings(run)
    require_no_stage(run, settings)
    if is_held(run):
        raise UserError(f"{run} goes on: push it when it is finished or stopped")
    private = next((path for path in _strings(settings["config"]) if path.startswith(("/", "~"))), None)
    if private is not None and not paths:
        raise UserError(f"{run}: its config names {private}, a path of this machine; --paths shows it to others")
    shelf = Shelf(target, "target")
    there = set(shelf.names())
    if there - set(BESIDE):
        known = read_manifest(shelf) if MANIFEST in there else {}
        same = known.get("id") == settings["id"]
        require(same, "target", target, "an empty place, or one that holds this run")
    files = {name: _content(path) for name, path in _files_of(run).items()}
    told = {name: {"bytes": size, "sha256": digest} for name, (size, digest, _) in files.items()}
    result = read_json(run / "result.json")
    about = {key: settings[key] for key in ("experiment", "id", "seed")}
    about |= {"env": settings["config"].get("env", {}).get("id"), "metrics": result.get("metrics", {})}
    manifest = {"format": FORMAT, **about, "files": told}
    for name, (_, _, source) in files.items():
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as content:
            shelf.write(name, content)
    shelf.write(CARD, io.BytesIO(card(settings, result, target).encode()))
    shelf.write(MANIFEST, io.BytesIO(json.dumps(manifest, indent=1).encode()))
    for name in there - set(files) - set(BESIDE):  # of an earlier state
        shelf.delete(name)
    return Pushed(target, len(files), sum(size for size, _, _ in files.values()))


def pull(source: str, to: Path | None = None) -> Pulled:
    """Takes a run from a shelf into runs/<experiment>/<id>, or into the folder `to`, whole or not at all.

    Raises UserError for everything that is not as a pushed run is, naming it.
    """
    shelf = Shelf(source, "source")
    there = shelf.names()
    if MANIFEST not in there:
        raise UserError(f"{source} holds no shared run: it has no {MANIFEST}")
    for name, is_link in there.items():
        if is_link:
            raise UserError(f"{source} is refused: {name} is a link")
    manifest = read_manifest(shelf)
    files = manifest["files"]
    for name in files:
        if name not in there:
            raise UserError(f"{source} is refused: {name} is in its manifest, and is not there")
    for name in there:
        if name not in files and name not in BESIDE:
            raise UserError(f"{source} is refused: {name} is not in its manifest")
    folder = to or RUNS / manifest["experiment"] / manifest["id"]
    if folder.exists():
        raise UserError(f"{folder} is there already: pull takes a new folder")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for name, about in files.items():
            _fetch(shelf, name, about, unfinished / name)
        settings = _require_run(unfinished, manifest, source)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    code = sorted({name for text in _strings(settings["config"]) for name in _CODE.findall(text)})
    return Pulled(folder, settings, read_json(folder / "result.json"), code)


def read_manifest(shelf: Shelf, name: str = MANIFEST) -> dict[str, Any]:
    """What a manifest says, once it is known that its names lead nowhere else. Raises UserError."""
    refused = f"{shelf.address} is refused: {name}"
    try:
        manifest = json.loads(shelf.read(name, MOST_MANIFEST_BYTES))
        files, version = dict(manifest["files"]), int(manifest["format"])
        told = {key: manifest[key] for key in ("experiment", "id")}
        sizes = {name: (int(about["bytes"]), str(about["sha256"])) for name, about in files.items()}
        shown = [str(manifest.get("env")), *_numbers(manifest.get("metrics", {}))]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{refused} cannot be read ({type(error).__name__}: {error})") from None
    if version > FORMAT:
        raise UserError(f"{refused} has format {version}; this version of the program reads up to {FORMAT}")
    if len(sizes) > MOST_FILES:
        raise UserError(f"{refused} names {len(sizes)} files: it takes up to {MOST_FILES}")
    for key, value in told.items():
        if not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise UserError(f"{refused} has {key} = {value!r}, which is no name")
    if not all(text.isprintable() for text in shown):
        raise UserError(f"{refused} has a name that cannot be printed")
    for path in sizes:
        if not all(_NAME.fullmatch(part) for part in path.split("/")):
            raise UserError(f"{refused} names {path!r}, which does not lie inside it")
        if PurePosixPath(path).suffix not in KINDS or path in BESIDE:
            raise UserError(f"{refused} names {path!r}: a shared run is of {', '.join(KINDS)}")
    return dict(manifest)


def shared_runs(address: str) -> dict[str, dict[str, Any]]:
    """The manifests of the runs on a shelf and below it, by where they are from there on."""
    shelf = Shelf(address, "shelf")
    found = {name: read_manifest(shelf, name) for name in sorted(shelf.names()) if _is_manifest(name)}
    return {name.removesuffix(MANIFEST).rstrip("/"): manifest for name, manifest in found.items()}


def _is_manifest(name: str) -> bool:
    """A checkpoint has a manifest of its own."""
    return PurePosixPath(name).name == MANIFEST and "checkpoints" not in PurePosixPath(name).parts


def _files_of(run: Path) -> dict[str, Path]:
    """By name: what the run, and each of its stages, is made of, with the newest and the best checkpoint."""
    found = []
    for folder in (run, *stage_folders(run)):
        found += [folder / name for name in OF_A_RUN if (folder / name).exists()]
        kept = {newest(folder / "checkpoints"), read_best(folder / "checkpoints")} - {None}
        found += [file for checkpoint in kept if checkpoint for file in checkpoint.iterdir()]
    if not any("checkpoints" in path.parts for path in found):
        raise UserError(f"run {run} has no checkpoint yet: there is nothing to share")
    names = {path.relative_to(run).as_posix(): path for path in found}
    return {name: names[name] for name in sorted(names)}


def _content(path: Path) -> tuple[int, str, Path | bytes]:
    """The size and the hash of a file, and what is in it, where that is not what is sent."""
    if path.name not in ("config.json", "result.json"):
        return path.stat().st_size, sha256(path), path
    tree = read_json(path)
    if tree.get("parent"):
        tree["parent"] = Path(tree["parent"]).name
    if "tracker" in tree:
        tree = {key: value for key, value in tree.items() if key != "wandb"} | {"tracker": "none"}
    content = (json.dumps(tree, indent=2) + "\n").encode()
    return len(content), hashlib.sha256(content).hexdigest(), content


def _fetch(shelf: Shelf, name: str, about: Mapping[str, Any], place: Path) -> None:
    """Copies one file; reads no further than it is said to be long."""
    place.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), int(about["bytes"])
    with shelf.open(name) as source, place.open("wb") as target:
        while piece := source.read(min(PIECE_BYTES, left + 1)):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            target.write(piece)
    if left or digest.hexdigest() != about["sha256"]:
        raise UserError(f"{shelf.address} is refused: {name} is not what its manifest says (SHA-256 differs)")


def _require_run(folder: Path, manifest: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The settings of what was fetched. Raises UserError unless it is the run of its manifest, and all can be read."""
    for name in manifest["files"]:
        try:
            if name.endswith(".safetensors"):
                with safe_open(folder / name, framework="numpy"):
                    pass
            elif name.endswith(".json"):
                json.loads((folder / name).read_bytes())
            else:
                for line in (folder / name).read_bytes().splitlines():
                    json.loads(line)
        except (SafetensorError, ValueError, RecursionError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{source} is refused: {name} is not what its name says ({told})") from None
    settings = read_settings(folder)
    try:
        shown = _numbers(read_json(folder / "result.json").get("metrics", {}))
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{source} is refused: result.json has no metrics that can be read ({error})") from None
    if not all(name.isprintable() for name in shown):
        raise UserError(f"{source} is refused: result.json has a name that cannot be printed")
    for key in ("experiment", "id"):
        if settings[key] != manifest[key]:
            raise UserError(
                f"{source} is refused: its config is of {settings[key]!r}, its manifest of {manifest[key]!r}"
            )
    return settings


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Measures by their names. Raises TypeError, ValueError or AttributeError for anything else."""
    return {str(name): float(value) for name, value in metrics.items()}


def _strings(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from _strings(inner)
    elif isinstance(tree, str):
        yield tree
