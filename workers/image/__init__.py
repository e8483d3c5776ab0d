"""A commit and its lock become an image: one layer per package, and only what has changed is made and sent.

Read `build.py` first: it is the whole way. `plan.py` decides which layers there are; everything else does one thing.
"""
