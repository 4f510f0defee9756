"""The rules: pure functions of (state, event, now). No I/O, no clock, no threads, no logging."""
