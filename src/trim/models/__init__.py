"""Who writes steps and who judges them."""
