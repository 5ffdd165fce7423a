"""The manuscript: numbers, tables and figures of an experiment put into LaTeX, and a PDF built from them."""
