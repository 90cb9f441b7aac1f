//! Caption rewards: CLIP-S, CIDEr-D, weighted mixes and advantages.
