"""From predictions to figures with intervals; from a recipe to out-of-fold predictions."""
