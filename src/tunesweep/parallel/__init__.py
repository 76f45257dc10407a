"""Several processes inside one point: they train together, and all the rest is done by the point's own."""
