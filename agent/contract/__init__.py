"""The contract with the central server, as it is printed: AsyncAPI and prose, from what the agent publishes with."""
