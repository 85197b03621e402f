"""The card of a shared run: what it is, what it reached, how sure that is, and how to run it, in Markdown.

Its head is that of a model card of Hugging Face (https://huggingface.co/docs/hub/model-cards): YAML, here in the form
that is JSON too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.run.files import read_json
from training.run.provenance import ROOT

PUBLISHED = ROOT / "docs" / "results"
"""The verdicts of `verify`, in a clone."""

TEXT = """\
# {experiment}, seed {seed}

{what} after {done}. Made with Regimen; nothing in it is executed when it is loaded.

## What it reached

{measures}

{claims}

## How to run it

```
regimen pull {address}
regimen play {run}
regimen resume {run} --env-steps {more}
```

`manifest.json` has the SHA-256 of every file. The hashes show damage, not who made the files.
"""


def card(settings: Mapping[str, Any], result: Mapping[str, Any], address: str) -> str:
    """The text of the card.

    Args:
        settings: the contents of the run's `config.json`.
        result: the contents of its `result.json`, empty for one that is not finished.
        address: where it lies.
    """
    env = settings["config"].get("env", {}).get("id")
    metrics = result.get("metrics", {})
    counters = result.get("counters", {})
    unit = "env_steps" if counters.get("env_steps") else "updates"
    done = f"{counters[unit]:,} {unit.replace('_', ' ')}" if counters else "a part of its training"
    text = TEXT.format(
        experiment=settings["experiment"],
        seed=settings["seed"],
        what=f"A policy for `{env}`" if env else "A model that learned from data",
        done=done,
        measures=_table(metrics) or "It was not finished, so nothing was measured at its end.",
        claims="\n".join(_claims(settings["experiment"], result)) or "It claims nothing.",
        address=_public(address),
        run=settings["id"],
        more=2 * counters.get("env_steps", 0) or "M",
    )
    return f"---\n{json.dumps(_head(settings, metrics, env), indent=1)}\n---\n\n{text}"


def _public(address: str) -> str:
    """The address as others see it: of a folder of this machine its name alone."""
    return Path(address).name if "://" not in address or address.startswith("file://") else address


def _head(settings: Mapping[str, Any], metrics: Mapping[str, float], env: str | None) -> dict[str, Any]:
    tags = ["reinforcement-learning", env] if env else ["tabular-or-images"]
    task = {"type": "reinforcement-learning" if env else "other"}
    results = [
        {"task": task, "dataset": {"name": env or settings["experiment"], "type": env or settings["experiment"]}}
        | {"metrics": [{"type": name, "name": name, "value": value} for name, value in metrics.items()]}
    ]
    named = {"name": settings["experiment"], "results": results}
    return {"library_name": "regimen", "tags": tags, **({"model-index": [named]} if metrics else {})}


def _table(metrics: Mapping[str, float]) -> str:
    if not metrics:
        return ""
    rows = [f"| {name} | {value:.6g} |" for name, value in metrics.items()]
    return "\n".join(["| Measure of this run | |", "|---|---:|", *rows])


def _claims(experiment: str, result: Mapping[str, Any]) -> Iterator[str]:
    """The claims that this run is judged by, and what `verify` found of them over seeds, where that is published."""
    judged = {verdict["text"]: verdict for verdict in result.get("claims", ())}
    for text, verdict in judged.items():
        yield f"- `{text}`: {'holds' if verdict['holds'] else 'does not hold'} for this one seed."
    for text, why in result.get("not_judged", {}).items():
        yield f"- `{text}`: not judged ({why})."
    for verdict in read_json(PUBLISHED / f"{experiment}.json").get("claims", ()) if judged else ():
        interval = verdict["interval"]
        sure = f", 95 % interval {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
        measured = "nothing" if verdict["measured"] is None else f"{verdict['measured']:.4g}"
        holds = "holds" if verdict["holds"] else "does not hold"
        yield f"- `verify` on {len(verdict['seeds'])} seeds: `{verdict['text']}` {holds}: {measured}{sure}."
