"""The sides of a lock-step that other frameworks compute."""
