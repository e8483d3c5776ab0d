"""Knows and decides. Nothing in this wing runs a process, a container or git."""
