"""The same interfaces without hardware, for the demo, the tests and a machine without wires.

Each module mirrors the driver of its name, and each class says what it does not do.
"""
