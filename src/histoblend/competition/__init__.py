"""Where the competition lies, which layout it has, and the facts checked at the door."""
