"""The networks, and the table that lists them."""
