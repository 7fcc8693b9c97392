"""Adam that costs only what a batch touches."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("shelfmark")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) whose moments of an embedding row move only when the row has a gradient.

    Keras' own Adam densifies an embedding's gradient, so that each step costs the whole vocabulary, and it moves rows
    that the batch does not hold by their momentum. Here a row without a gradient stays as it is: a product that has
    no label for an objective moves none of that objective's wide weights. With dense gradients, or another backend
    than TensorFlow, this is plain Adam.
    """

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow":
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        if not isinstance(gradient, tf.IndexedSlices):
            return super().update_step(gradient, variable, learning_rate)
        rate = tf.cast(learning_rate, tf.float32)
        step = tf.cast(self.iterations + 1, tf.float32)
        corrected = rate * tf.sqrt(1.0 - tf.pow(self.beta_2, step)) / (1.0 - tf.pow(self.beta_1, step))
        rows, positions = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
        moved = tf.reduce_any(tf.not_equal(values, 0.0), axis=1)
        rows, values = tf.boolean_mask(rows, moved), tf.boolean_mask(values, moved)
        index = self._get_variable_index(variable)
        first, second = self._momentums[index].value, self._velocities[index].value
        new_first = tf.gather(first, rows) * self.beta_1 + (1.0 - self.beta_1) * values
        new_second = tf.gather(second, rows) * self.beta_2 + (1.0 - self.beta_2) * tf.square(values)
        first.scatter_update(tf.IndexedSlices(new_first, rows))
        second.scatter_update(tf.IndexedSlices(new_second, rows))
        change = corrected * new_first / (tf.sqrt(new_second) + self.epsilon)
        variable.value.scatter_sub(tf.IndexedSlices(change, rows))
        return None
