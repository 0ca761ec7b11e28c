"""Deployment: registry, promotion, model card, ONNX, server and prediction."""
