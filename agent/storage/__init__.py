"""What the station keeps: the log with its chain, visits, members, readings, and what must survive a restored backup.

Files in one directory, all of them the agent's alone (mode 0600):

- `station.db`: log, cursor, visits, members, templates (`synchronous=FULL`);
- `readings.db`: sensor values by the minute (`synchronous=NORMAL`: a power cut may cost the last minute);
- `head`: epoch, last sequence and last hash, synced apart from the database;
- `ledger`: what no backup may bring back, one line each; it is not part of a backup.

`database` alone imports SQLite. `writer` is the one thread that writes; `reader` answers queries beside it.
`late` is a start on a disk that cannot be written.
"""
