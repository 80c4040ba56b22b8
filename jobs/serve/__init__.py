"""`uso serve`: an HTTP server that speaks the hosted APIs and generates on its own Ray actors.

A request becomes a task in the database before it is answered. A thread feeds the tasks to the
actors, and writes their outcomes back. The API of a vendor is a module in `dialects`; no other
module knows one.
"""
