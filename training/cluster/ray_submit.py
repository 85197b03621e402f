"""This working tree as a Ray job on any cluster: its log streamed here, its run folder brought back afterwards.

The job outlives this process: the same command finds it again by the record beside the run folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from training.cluster.ray_job import Job
from training.cluster.ray_session import runtime_env
from training.cluster.ray_versions import versions
from training.cluster.storage import Storage
from training.errors import UserError
from training.extras import extra
from training.run.files import read_json, write_json
from training.run.folder import making

LOOK_EVERY_S = 1.0
SILENCE_TIMEOUT_S = 60.0
"""How long a job is watched whose cluster does not answer."""
CHECK_TIMEOUT_S = 300.0
"""For the check of versions, which may have to wait for a place and for the code."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


def submit(job: Job, folder: Path, *, address: str, any_versions: bool, again: str) -> int:
    """Trains on the Ray cluster at `address`, prints the log of the job and brings its run folder back.

    Ctrl-C only ends the watching. Where the folder is that of an earlier call, its job is followed again, or begun
    again where it was when it has failed.

    Args:
        job: what is submitted.
        folder: where the run is brought; the record of the job is beside it.
        address: of the cluster's dashboard.
        any_versions: whether the cluster may have other versions of Python and of packages than are here.
        again: the command that follows the job again, which is told to the user.

    Returns:
        The exit code of the job.

    Raises:
        UserError: no cluster at the address, a storage that cannot be used, or another job's record.
    """
    with extra("cluster"):
        import aiohttp  # noqa: F401 - what Ray's client of jobs imports later
    record = folder.with_name(folder.name + ".job.json")
    storage = Storage(job.storage)  # complains before anything is sent
    client = _client(address)
    submitted = read_json(record)
    if submitted and submitted["options"] != list(job.options):
        raise UserError(f"{record} is of a job with other options: take another --run-dir")
    if not submitted and folder.exists() and any(folder.iterdir()):
        raise UserError(f"run folder taken: {folder}; a new run takes a new or an empty folder")
    if not submitted or _status(client, submitted["id"]) in (None, "FAILED", "STOPPED"):
        if not any_versions:
            _require_same_versions(client)
        with making(folder):
            record.parent.mkdir(parents=True, exist_ok=True)
        started = _start(client, job.experiment, "training.cluster.ray_job", job.to_json())
        submitted = {"id": started, "options": list(job.options)}
        write_json(record, submitted)
    print(f"job {submitted['id']}; follow it again with: {again}", file=sys.stderr)
    try:
        status = asyncio.run(_follow(client, submitted["id"]))
    except KeyboardInterrupt:
        print(f"the job goes on; end it with: ray job stop {submitted['id']}", file=sys.stderr)
        return 130
    if storage.fetch(folder):
        print(f"run: {folder}")
    if status == "SUCCEEDED":
        return 0
    if status is None:
        raise UserError("the cluster no longer knows the job: the same command begins it again where it was")
    return int(client.get_job_info(submitted["id"]).driver_exit_code or 1)


def _client(address: str) -> Any:
    """Ray's client of the jobs of a cluster; with its token where there is one. Raises UserError when none answers."""
    if Path.home().joinpath(".ray", "auth_token").exists() or "RAY_AUTH_TOKEN" in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # ray reads it once, when it is imported
    from ray.job_submission import JobSubmissionClient

    # They name every file that is not sent, and every connection.
    for part in ("ray._private.runtime_env", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(part).setLevel(logging.ERROR)
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(f"address = {address!r}: no Ray cluster takes jobs there ({why})") from None


def _require_same_versions(client: Any) -> None:
    """Asks all nodes, by a job of its own: nothing else has started then. Raises UserError, naming what differs."""
    check = _start(client, "versions", "training.cluster.ray_versions", json.dumps(versions()))
    deadline = time.monotonic() + CHECK_TIMEOUT_S
    while (status := _status(client, check)) not in ENDED:
        if time.monotonic() > deadline:
            client.stop_job(check)
            raise UserError(f"the cluster did not tell its versions within {CHECK_TIMEOUT_S:g} s")
        time.sleep(LOOK_EVERY_S)
    if status != "SUCCEEDED":
        lines = client.get_job_logs(check).strip().splitlines() or ["it said nothing"]
        told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise UserError(told[-1] if told else f"the cluster could not tell its versions: {lines[-1]}")


def _start(client: Any, name: str, module: str, *words: str) -> str:
    """Submits a module of this working tree as a job; returns its id."""
    return str(
        client.submit_job(
            entrypoint=shlex.join(["python", "-m", module, *words]),
            submission_id=f"{name}-{secrets.token_hex(4)}",
            runtime_env=runtime_env(),
        )
    )


def _status(client: Any, job_id: str) -> str | None:
    """None: the cluster does not know the job, as after it was started anew. Raises UserError where it cannot tell."""
    try:
        return str(client.get_job_status(job_id).value)
    except RuntimeError as error:
        if "status code 404" in str(error):
            return None
        raise UserError(f"the cluster does not tell about job {job_id} ({str(error).splitlines()[0]})") from None


async def _follow(client: Any, job_id: str) -> str | None:
    """Prints the log of the job as it grows, until the job ends; a connection that breaks is made again.

    Returns its status then; None: the cluster no longer knows it. Raises UserError when the cluster does not answer for
    too long.
    """
    shown, answered_at = 0, time.monotonic()
    while True:
        seen = 0
        with suppress(RuntimeError, OSError):
            async for text in client.tail_job_logs(job_id):
                fresh = text[max(0, shown - seen) :]
                seen += len(text)
                shown = max(shown, seen)
                print(fresh, end="", flush=True)
        try:
            if (status := _status(client, job_id)) in (*ENDED, None):
                return status
            answered_at = time.monotonic()
        except (UserError, OSError) as error:
            if time.monotonic() > answered_at + SILENCE_TIMEOUT_S:
                raise UserError(f"no answer for {SILENCE_TIMEOUT_S:g} s: {str(error).splitlines()[0]}") from None
        await asyncio.sleep(LOOK_EVERY_S)
