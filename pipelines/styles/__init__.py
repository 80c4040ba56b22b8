"""The library of styles: encoded styles under names, in a folder of any store."""
