"""Layers that encoders and heads are made of: `tfav.layers.LogMel`, `tfav.layers.CosineClassifier`.

All of them are Keras layers that a functional model can use, save in a `.keras` file and load; the
last three are tables of state that no gradient moves.
"""

from tfav.layers.blending import BlendingWeights
from tfav.layers.blocks import Conv, DepthwiseConv, PReLU
from tfav.layers.classifiers import ConcatClassifier, CosineClassifier, SharedClassifier
from tfav.layers.clustering import MovingMean, SoftClustering
from tfav.layers.dropout import SeededDropout
from tfav.layers.fusion import Concat, FiLM, Gated
from tfav.layers.identity import IdentityWeights
from tfav.layers.normalization import BatchNorm
from tfav.layers.pooling import ChannelAttentivePooling, SelfAttentivePooling
from tfav.layers.residual import BasicBlock, IRBlock, ResNet, SEBasicBlock, SqueezeExcite
from tfav.layers.spectrograms import LogMel, LogSpectrogram
from tfav.layers.tail import Tail
from tfav.layers.temperature import Temperature

__all__ = [
    "BasicBlock",
    "BatchNorm",
    "ChannelAttentivePooling",
    "Concat",
    "ConcatClassifier",
    "Conv",
    "CosineClassifier",
    "DepthwiseConv",
    "FiLM",
    "Gated",
    "IRBlock",
    "LogMel",
    "LogSpectrogram",
    "PReLU",
    "ResNet",
    "SEBasicBlock",
    "SeededDropout",
    "SelfAttentivePooling",
    "SharedClassifier",
    "SoftClustering",
    "SqueezeExcite",
    "Tail",
    "Temperature",
    "BlendingWeights",
    "IdentityWeights",
    "MovingMean",
]
