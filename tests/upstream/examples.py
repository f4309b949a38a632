"""Run the SDK's examples on the SDK and on agentstream, and compare what they print.

    python -m tests.upstream.examples [EXAMPLE ...]

Both talk to a scripted server on loopback in the place of the API. It answers by the request alone:
a call of the first tool where there is one that was not called yet, what fits the schema where one
is asked for, and otherwise a sentence about the last message of the user.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agentstream.testing import ScriptedServer, call, say

from .sdist import unpacked

SECONDS = 60
LEFT_OUT = ("sandbox", "realtime", "voice", "live")
"""Folders of examples for parts that agentstream leaves to the SDK."""

_VARIES = (
    (r"0x[0-9a-f]+", "0x"),
    (r"\b(resp|msg|call|conv|item|fc|trace|group|rs|toolu|session)_[\w-]+", r"\1_id"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+", "uuid"),
    (r"\d{14}-[0-9a-f]{12}", "session id"),
    (r"[0-9a-f]{16,}", "hex"),
    (r"^[0-9a-f]{6}$", "hex"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1"),
    (r"\d+\.\d+ ?(s|ms|seconds)\b", r"0 \1"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.+:]*", "now"),
    (r"/tmp/[\w./-]+", "/tmp/file"),
)


def instance(schema: Any, root: Any = None) -> Any:
    """Something that fits a JSON schema."""
    root = schema if root is None else root
    if "$ref" in schema:
        found = root
        for key in schema["$ref"][2:].split("/"):
            found = found[key]
        return instance(found, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return instance(schema[key][0], root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {k: instance(v, root) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {}), root)] * max(1, schema.get("minItems", 1))
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    values = {"string": "Lisbon", "integer": low, "number": low, "boolean": True}
    return values.get(kind)


def answer(request: Any) -> Any:
    """What the server answers."""
    body = request.body
    functions = [one.get("function", one) for one in body.get("tools", ()) if _is_function(one)]
    since = []
    for item in request.input:
        since = [] if item.get("role") == "user" else [*since, item]
    if functions and not since and body.get("tool_choice") != "none":
        first = functions[0]
        return call(first["name"], json.dumps(instance(first.get("parameters") or {})))
    form = body.get("text", {}).get("format") or body.get("response_format", {})
    schema = form.get("schema") or form.get("json_schema", {}).get("schema")
    if schema:
        return say(json.dumps(instance(schema)))
    return say(f"An answer to: {request.user_text[-60:]}")


def _is_function(tool: Any) -> bool:
    return bool(tool.get("type") == "function")


def run(root: Path, module: str, library: str) -> tuple[int | str, str]:
    """The exit code and what an example printed."""
    program = [sys.executable, "-m", module]
    if library == "agentstream":
        program[2:2] = ["agentstream.compat", "-m"]
    with ScriptedServer(answer) as server:
        env = {
            **os.environ,
            "EXAMPLES_INTERACTIVE_MODE": "auto",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
            "OPENAI_API_KEY": "scripted",
            "OPENAI_BASE_URL": server.base_url,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(root), str(root / "seeded")]),
        }
        try:
            done = subprocess.run(
                program,
                cwd=root,
                env=env,
                capture_output=True,
                timeout=SECONDS,
                text=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return "timed out", ""
    return done.returncode, _steady(done.stdout) if done.returncode == 0 else done.stderr[-2000:]


def _steady(text: str) -> str:
    for pattern, stands_for in _VARIES:
        text = re.sub(pattern, stands_for, text, flags=re.MULTILINE)
    return text


def examples(root: Path) -> list[str]:
    """The programs among the examples, as modules."""
    found = []
    for path in sorted((root / "examples").rglob("*.py")):
        inner = path.relative_to(root).with_suffix("").parts
        if inner[1] not in LEFT_OUT and "__main__" in path.read_text(encoding="utf-8"):
            found.append(".".join(inner))
    return [one for one in found if one != "examples.run_examples"]


def compare(root: Path, module: str) -> tuple[str, str]:
    """``same``, ``differs``, ``fails``, or ``not on the SDK``; and what shows it."""
    code, theirs = run(root, module, "openai-agents")
    if code != 0:
        return "not on the SDK", f"{code} {theirs[-300:]}"
    code, ours = run(root, module, "agentstream")
    if code != 0:
        return "fails", f"{code} {ours[-1500:]}"
    if ours == theirs:
        return "same", ""
    return "differs", f"--- SDK\n{theirs[:3000]}\n--- agentstream\n{ours[:3000]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the examples; 1 if one differs or fails."""
    parser = argparse.ArgumentParser("python -m tests.upstream.examples", description=__doc__)
    parser.add_argument("--details", type=Path, help="a folder for what is different")
    parser.add_argument("examples", nargs="*", help="modules; all in scope unless given")
    options = parser.parse_args(arguments)
    with unpacked() as root, ThreadPoolExecutor(os.cpu_count()) as pool:
        (root / "seeded").mkdir()
        seeded = "import random\n\nrandom.seed(0)\n"
        (root / "seeded" / "sitecustomize.py").write_text(seeded, encoding="utf-8")
        chosen = options.examples or examples(root)
        outcomes = Counter[str]()
        compared = pool.map(lambda one: compare(root, one), chosen)
        for module, (outcome, shown) in zip(chosen, compared, strict=True):
            print(f"{outcome:15} {module}", flush=True)
            outcomes[outcome] += 1
            if options.details and shown:
                path = options.details / f"{module}.txt"
                path.write_text(f"{outcome}\n{shown}", encoding="utf-8")
    print(dict(outcomes))
    return int(bool(outcomes["fails"] + outcomes["differs"]))


if __name__ == "__main__":
    sys.exit(main())
