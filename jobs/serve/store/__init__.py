"""The state of the server in SQL: keys, tasks, their events, files, and webhooks to deliver.

Every change of a state is one conditional UPDATE: a read and a write in one transaction would lose
updates without an error in SQLite.
"""
