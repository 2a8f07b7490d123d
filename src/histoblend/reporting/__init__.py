"""Tables and pictures read from artifacts."""
