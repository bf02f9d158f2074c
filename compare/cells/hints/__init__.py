"""Name the mistake behind a wrong value in a recurrent cell."""
