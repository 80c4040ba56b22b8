"""Licences and wishes of references: in headers, beside the file, and in the file itself."""
