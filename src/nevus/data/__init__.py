"""From image files and tables to manifests, folds, packs and batches. Nothing here imports torch."""
