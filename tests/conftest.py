from tests.support import databases


def pytest_report_header() -> str:
    """Which database servers the run uses."""
    return databases.report()
