"""The bars that the station's recognition has to meet, measured in one run: `python -m bench`, or `make bench`."""
