"""How a picture is read, enlarged, and written with all that it held."""
