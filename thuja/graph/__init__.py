"""From a torch program to an ONNX file, and from that to one with small weights."""
