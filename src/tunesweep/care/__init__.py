"""Care of a store: what may go, what another store has, what a sweep lacks."""
