"""Pretrained text encoders: their folders, where they come from, and vectors of texts.

``known.py`` names those that ``shelfmark encoder add`` fetches, ``conversion.py`` makes a folder of what was fetched,
``folder.py`` reads and writes folders, ``places.py`` says where they lie, ``text_encoder.py`` is the network in the
graph, ``passing.py`` embeds many texts, and ``cache.py`` keeps their vectors.
"""
