"""Networks: one table, one file per family; layers and heads they share."""
