"""A run as one static page: its records → numbers, pictures and the files of `report/`."""
