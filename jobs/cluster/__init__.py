"""Runs as jobs of a Ray cluster: what is checked and packed here, and asked of its server."""
