"""The HTTP interface, version 1: what the page asks for, each family of questions in its own file."""
