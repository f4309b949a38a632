"""What holds for every test: no key, no network, and two processes only when all tests run."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from agentstream.models.http import credentials

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]
from tests.pairwise import not_in_the_sample
from tests.slow import mark_slow

# A shell ignores Ctrl-C for what it starts in the background, and every program started from there
# does as well; tests of the interrupt need it as it is in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# IPython warns of a home that it cannot write into, and a warning is an error here.
if not os.access(os.path.expanduser("~"), os.W_OK):
    os.environ["HOME"] = os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="agentstream-home-")

# Each new client reads all of the system's certificates, which takes longer than most tests. These
# reach no other machine, so one will do; it is nobody's, its key is gone.
CERTIFICATES = Path(__file__).parent / "data/no_authority.pem"

# Kernels, a cluster and servers in one process need more files than the 256 of macOS.
if resource is not None:
    _soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _wanted = 4096 if _hard == resource.RLIM_INFINITY else min(4096, _hard)
    if _soft != resource.RLIM_INFINITY and _soft < _wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_wanted, _hard))

LOCAL_NAMES = {"", "localhost", "ip6-localhost", socket.gethostname()}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Answer ``-n auto``: workers pay off for the whole suite, and only delay one file."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    return min(2, os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whole products of cases run."""
    parser.addoption(
        "--all-cases",
        action="store_true",
        help="run every case of the tests marked `pairwise`, not only one for each pair of values",
    )


@pytest.hookimpl(tryfirst=True)  # pytest chooses by markers in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow, and leave out the cases that no pair needs: `slow.py`, `pairwise.py`.

    A test whose id holds an address is refused: the two processes would not agree on its name.
    """
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: name the case with `ids`, without an address")
        mark_slow(item)
    if config.getoption("all_cases"):
        return
    if left_out := not_in_the_sample(items):
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files; those of tests/browser to one worker, and the notebooks one by one.

    A second Jupyter server would slow both; notebooks mostly wait for the pace of their scripts.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            browser = "tests/browser/"
            if nodeid.startswith(browser):
                return browser
            return nodeid if "test_notebooks.py::" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log)


def is_local(host: object) -> bool:
    """Whether `host` is this machine, or no host at all."""
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_key_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a test that reaches for a key or for another machine fail at once."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_", "AGENTSTREAM_")):
            monkeypatch.delenv(name)
    resolve, connect, connect_ex = (
        socket.getaddrinfo,
        socket.socket.connect,
        socket.socket.connect_ex,
    )

    def refuse(host: object) -> None:
        if not is_local(host):
            raise AssertionError(f"a test tried to reach {host!r}: use agentstream.testing instead")

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        refuse(host)
        return resolve(host, *args, **kwargs)

    def guarded_connect(sock: socket.socket, address: Any) -> Any:
        refuse(address[0] if isinstance(address, tuple) else None)
        return connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> Any:
        refuse(address[0] if isinstance(address, tuple) else None)
        return connect_ex(sock, address)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)


@pytest.fixture(autouse=True)
def few_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a client in a millisecond, here and in kernels and programs that a test starts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES))


@pytest.fixture(autouse=True)
def every_warning_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test hear a warning that is given once, though another test has heard it."""
    monkeypatch.setattr("agentstream._utils.warn_once._seen", set())


@pytest.fixture(autouse=True)
def no_defaults_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the key, the client and the API that another test has set for its process."""
    monkeypatch.setattr(credentials, "_defaults", type(credentials._defaults)())
