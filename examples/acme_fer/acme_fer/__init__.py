"""Parts for mmfer that live in a package of their own; nothing of mmfer is changed for them."""
