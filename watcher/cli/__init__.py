"""The admin CLI: reads the ledger, writes a person's orders into it, and has the rest done by the hands it is given."""
