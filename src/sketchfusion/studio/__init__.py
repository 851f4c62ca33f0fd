"""The studio: a page to draw on, and the server that answers while one draws."""
