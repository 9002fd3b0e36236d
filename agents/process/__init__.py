"""Exit codes and logging of a process."""
