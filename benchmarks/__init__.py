"""Benchmarks: each module is a script of its own that prints a table; nothing here is asserted by a test."""
