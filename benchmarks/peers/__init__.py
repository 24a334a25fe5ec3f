"""The same jobs done otherwise: PyTorch, Keras, umap-learn, matplotlib with one axes per channel."""
