"""One module per driver. A file here is a driver; its name is the name in campaigns."""
