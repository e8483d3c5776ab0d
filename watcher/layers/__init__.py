"""Which layers an image has, and in which order: what that costs a fleet in bytes, and the choice that costs least.

Nothing here knows what a tar is. A builder says which parts there are, with sizes; the ledger says how often they
change; `choice.choose` says what the image's layers should be. docs/layers.md explains the model and its limits.
"""
