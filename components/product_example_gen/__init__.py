"""ProductExampleGen: product feeds to tf.Examples."""
