"""`python -m histoblend`."""

from histoblend.cli import main

if __name__ == "__main__":
    main()
