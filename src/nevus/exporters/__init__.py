"""From a trained network to the formats that run without torch, refused where they do not match."""
