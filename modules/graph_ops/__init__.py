"""TensorFlow ops and Keras layers that features, models and the serving graph are made of."""
