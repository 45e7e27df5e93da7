"""What nevus does, to look at: two systems trained on drawn lesions, or the model that comes with it on real photographs."""
