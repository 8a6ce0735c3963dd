"""One gateway for the tests of a file, unless a test starts its own."""

import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402
from cloud import Cloud  # noqa: E402


def pytest_collection_modifyitems(items):
    """Only the harness can be tested without a program to test."""
    needs = [i for i in items if i.path.name != "test_harness.py"]
    if needs and not harness.PROGRAM.exists():
        pytest.exit("%s is missing: build it first (make), or name another "
                    "with GATEWAY=" % harness.PROGRAM, returncode=4)


def pytest_report_header():
    return "gateway: %s" % harness.PROGRAM


@pytest.fixture(scope="module")
def shared():
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(shared):
    """The cloud of the file, as new for the next test."""
    yield shared
    shared.reset()
