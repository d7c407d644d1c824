"""One module per experiment. A file here is an experiment; its name is the name in campaigns."""
