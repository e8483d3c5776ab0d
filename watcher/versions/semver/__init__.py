"""Versions and constraints as Composer has them: https://getcomposer.org/doc/articles/versions.md.

That page leaves much open; the specification is what `composer/semver` does, odd corners included, because the same
text has to mean the same to Composer and to us. A test compares the two on generated input.
"""
