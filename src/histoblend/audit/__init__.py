"""Everything wrong or odd about a data set, found at once: one module for each thing looked for."""
