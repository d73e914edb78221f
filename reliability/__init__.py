"""What Thuja promises about failure, proved by making it fail: one harness a file, each with a planted bug that it must catch.

    python -m reliability [--tier short|long] [--only D1,D2]

The short tier of every harness runs in `make test` (tests/reliability); `make reliability` runs the long one and writes docs/reliability.md.
"""
