"""The other end of the contract: what a central server does with what stations publish."""
