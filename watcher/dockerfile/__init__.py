"""Dockerfiles as values: what stands in one, which files each instruction takes, and what a change makes anew.

The language is BuildKit's (moby/buildkit, `frontend/dockerfile`): `parse` accepts what its parser accepts and refuses
what it refuses, and a test lets both read the same files.
"""
