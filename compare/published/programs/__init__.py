"""The published backward passes, a module for each program."""
