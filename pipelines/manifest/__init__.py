"""The manifest: files of any kind and place → rows, checked and with an identity."""
