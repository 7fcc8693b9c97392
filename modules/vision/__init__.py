"""Images: decoding, augmentation, the networks that embed them, and how those start without labels."""
