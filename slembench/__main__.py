"""``python -m slembench`` is the same as the ``slembench`` command."""

from slembench.cli import main

if __name__ == "__main__":
    main()
