"""Super-resolution networks of the user's own: where their files are, and what the files say of themselves."""
