"""How fast the server is, beside the bare limit of the machine it runs on: `make bench`.

Absolute figures say little on a shared machine, where the same program may be 1.6 times faster a minute
later. So every figure is measured in turns with a bare program that does only the unavoidable part of the
same work, and what counts is the ratio of the two. Nothing here is a test that can fail: a missed figure is
reported, no error."""
