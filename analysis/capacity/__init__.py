"""How many hosts a demand needs: evidence from a dataset, the model, its answer, words, figures."""
