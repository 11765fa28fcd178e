"""One module for each function of the CLI; nothing but main imports them."""
