"""Hydra finds its plugins here. They are imported at every start, so they load nothing heavy."""
