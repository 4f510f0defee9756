"""A conformance kit: asks a running station, from the server's side, whether it keeps the contract."""
