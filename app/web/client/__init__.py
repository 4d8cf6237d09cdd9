"""The client's pages, reached by signed links."""
