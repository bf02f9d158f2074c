"""The report of a check: its findings as data, in words, as JSON, as a picture and for a page."""
