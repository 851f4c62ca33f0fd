"""The paper's tables: their rows, what the paper has in them, and what is measured here."""
