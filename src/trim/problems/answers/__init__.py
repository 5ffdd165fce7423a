"""What an answer says: found in a text, read as mathematics, compared with a reference."""
