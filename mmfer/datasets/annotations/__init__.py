"""Label files of the published datasets, as their authors wrote them."""
