"""From files to batches: pack, slides, folds, augmentations, views, the feed."""
