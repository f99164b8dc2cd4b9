"""From uint8 faces to what a network is shown: augmentation on the device, landmarks taken along."""
