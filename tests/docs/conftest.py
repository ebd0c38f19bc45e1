from tests.support.fixtures import make_server, path, server, target

__all__ = ["make_server", "path", "server", "target"]
