"""The link to the central server: topics, payloads and the connection."""
