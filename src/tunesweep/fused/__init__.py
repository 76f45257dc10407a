"""Several runs of a sweep trained in one pass through the frozen backbone that they share.

`rules` say what can be fused and `groups` which points go together; `carry` takes a group from its
beginning to its records. In between, `twins` are networks around the same frozen tensors, the `carrier`
is the one that all examples of a step go through, and a `member` is one run in it.
"""
