"""``python -m cli`` is ``hwnas``."""

from cli.program import main

if __name__ == "__main__":
    main()
