"""`python -m agent` is `station`."""

from agent.cli import main

main()
