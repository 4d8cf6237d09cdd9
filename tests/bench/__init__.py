"""How fast the product is on this machine: its hot paths, its pages, its delivery."""
