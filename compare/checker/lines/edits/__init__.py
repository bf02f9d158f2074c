"""The small mistakes that people make: what could stand in the place of a statement, as values, text and words."""
