"""The folder of an Artifact, verified before anything opens it, and its programs in onnxruntime. No torch."""
