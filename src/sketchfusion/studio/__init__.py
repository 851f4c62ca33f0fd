"""The studio: a web page to draw on, and the server that searches while the user draws."""
