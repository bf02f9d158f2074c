"""Pages to look at: one self-contained HTML file each, readable without JavaScript and without a network."""
