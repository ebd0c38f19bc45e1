"""Programs beside Python that some tests use (tools/test-tools installs them where it may)."""

import os
import shutil

import pytest


def needs(program: str) -> pytest.MarkDecorator:
    """Skip where the program is missing and say so; in CI run all the same, so that a missing one is an error."""
    missing = shutil.which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")
