"""Is a difference real: intervals, tests, ties and advice, as pure functions of arrays (R20).

Two questions, never mixed. `pairs`: do these trained models differ, on the same examples, whatever the seed?
`cells`: do the methods differ, seeds and examples both drawn at random?
"""
