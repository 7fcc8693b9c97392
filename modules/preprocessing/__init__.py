"""Raw products to the model's input, as one TensorFlow graph for training and serving alike."""
