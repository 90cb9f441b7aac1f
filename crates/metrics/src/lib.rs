//! Caption metrics: CIDEr-D, retrieval and text statistics.
