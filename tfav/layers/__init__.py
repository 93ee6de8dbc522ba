"""Layers that encoders and heads are made of: `tfav.layers.LogMel`, `tfav.layers.CosineClassifier`.

All of them are Keras layers that a functional model can use, save in a `.keras` file and load; the
last three are tables of state that no gradient moves.
"""

from tfav.layers.blending import BlendingWeights
from tfav.layers.blocks import Conv, DepthwiseConv
from tfav.layers.class_sampling import ClassSampler
from tfav.layers.classifiers import CommonClassifier, ConcatClassifier, CosineClassifier
from tfav.layers.clustering import SoftClustering
from tfav.layers.dropout import SeededDropout
from tfav.layers.fusion import Concat, Convex, FiLM, Gated
from tfav.layers.identity import IdentityWeights
from tfav.layers.margins import Margin
from tfav.layers.moving_mean import MovingMean
from tfav.layers.normalization import BatchNorm
from tfav.layers.pooling import (
    ChannelAttentivePooling,
    ContextAttentivePooling,
    SelfAttentivePooling,
)
from tfav.layers.prelu import PReLU
from tfav.layers.residual import IRBlock, SEBasicBlock, SqueezeExcite
from tfav.layers.resnet_body import BasicBlock, ResNet
from tfav.layers.shared_classifier import SharedClassifier
from tfav.layers.spectrograms import LogMel, LogSpectrogram
from tfav.layers.speechbrain_fbank import SpeechBrainFbank
from tfav.layers.tail import Tail
from tfav.layers.tdnn import TDNN, SERes2Block
from tfav.layers.temperature import Temperature

__all__ = [
    "BasicBlock",
    "BatchNorm",
    "ChannelAttentivePooling",
    "ClassSampler",
    "Concat",
    "CommonClassifier",
    "ConcatClassifier",
    "ContextAttentivePooling",
    "Conv",
    "Convex",
    "CosineClassifier",
    "DepthwiseConv",
    "FiLM",
    "Gated",
    "IRBlock",
    "LogMel",
    "LogSpectrogram",
    "Margin",
    "PReLU",
    "ResNet",
    "SEBasicBlock",
    "SERes2Block",
    "SeededDropout",
    "SelfAttentivePooling",
    "SharedClassifier",
    "SoftClustering",
    "SpeechBrainFbank",
    "SqueezeExcite",
    "TDNN",
    "Tail",
    "Temperature",
    "BlendingWeights",
    "IdentityWeights",
    "MovingMean",
]
