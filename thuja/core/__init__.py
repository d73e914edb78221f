"""What everything stands on: errors, seeds, digests, storage, logs, clocks, spec reading. Standard library, numpy and pydantic; never torch."""
