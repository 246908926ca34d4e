"""Building blocks of networks that several systems share."""
