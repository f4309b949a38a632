"""Which tests are slow: ``pytest -m "not slow"`` leaves them out.

A folder or a file that starts kernels, browsers, programs or a real model stands in this table. Of
the others a test is slow that asks for a kernel, or has the decorator ``@pytest.mark.slow`` as it
takes more than a second.
"""

from __future__ import annotations

import pytest

SLOW: dict[str, str] = {
    "tests/bench": "runs each benchmark once",
    "tests/browser": "Chromium and a Jupyter server",
    "tests/compat/test_importer.py": "programs that import the SDK by its name",
    "tests/conformance/test_agents.py": "both packages, streamed and not",
    "tests/conformance/test_approvals.py": "both packages, streamed and not",
    "tests/conformance/test_errors.py": "both packages, streamed and not",
    "tests/conformance/test_guardrails.py": "both packages, streamed and not",
    "tests/conformance/test_handoffs.py": "both packages, streamed and not",
    "tests/conformance/test_models.py": "both packages, streamed and not",
    "tests/conformance/test_results.py": "both packages, streamed and not",
    "tests/conformance/test_streaming.py": "both packages, streamed and not",
    "tests/conformance/test_structured_output.py": "both packages, streamed and not",
    "tests/conformance/test_tools.py": "both packages, streamed and not",
    "tests/docs": "executes what the guides show",
    "tests/faults/test_fork.py": "programs that fork",
    "tests/faults/test_loops.py": "programs with event loops of their own",
    "tests/faults/test_notebook.py": "a kernel that is interrupted",
    "tests/faults/test_wire_loopback.py": "connections that stall",
    "tests/integration": "a real model",
    "tests/notebook/chat/test_kernel_chat.py": "a kernel",
    "tests/notebook/test_front_ends.py": "a kernel",
    "tests/notebook/test_kernel_approval.py": "a kernel",
    "tests/notebook/test_kernel_figures.py": "a kernel",
    "tests/notebook/test_kernel_mcp.py": "a kernel",
    "tests/notebook/test_kernel_messages.py": "kernels",
    "tests/notebook/test_kernel_soak.py": "a kernel",
    "tests/notebook/test_kernel_sync.py": "a kernel",
    "tests/notebook/test_late_pages.py": "a kernel",
    "tests/rows/test_many_faults.py": "thousands of rows that fail",
    "tests/test_notebooks.py": "executes the notebooks",
    "tests/trace/timeline/test_timeline_in_browser.py": "Chromium",
    "tests/typing": "mypy and pyright",
    "tests/upstream": "the SDK's tests",
}


def is_slow(path: str) -> bool:
    """Whether this file is slow, given by its path from the root of the repository."""
    return any(path == slow or path.startswith(slow + "/") for slow in SLOW)


def mark_slow(item: pytest.Item) -> None:
    """Mark a test that is slow by its file or by what it asks for."""
    if is_slow(item.nodeid.partition("::")[0]) or "kernel" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.slow)
