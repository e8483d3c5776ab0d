"""The common floor under the rooms that build images and the rooms that run them: what an image is, and where it is.

Values follow the OCI image specification 1.1; `Store` is the one door to a place that holds images, and has two real
implementations: a registry over HTTP and an OCI layout directory.
"""
