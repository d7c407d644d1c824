"""How many hosts a demand needs: evidence read from a dataset, the model, its answer, words and figures."""
