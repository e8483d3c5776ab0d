"""How a Dockerfile would do better: rewrites that keep the meaning, each with what it saves."""
