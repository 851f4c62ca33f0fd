"""Research: data sets, evaluation and training. Only the command line imports it."""
