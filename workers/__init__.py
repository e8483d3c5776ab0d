"""Does. Each room does one kind of thing, and the rooms do not know each other."""
