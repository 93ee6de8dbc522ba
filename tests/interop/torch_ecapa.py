"""ECAPA-TDNN in PyTorch by the names of SpeechBrain, and its front-end: the twin of our encoder.

Written from the paper and from SpeechBrain's description; nothing here is part of the library.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Held(nn.Module):
    """SpeechBrain wraps each layer in a module, which is seen in its names."""

    def __init__(self, name, inner):
        super().__init__()
        setattr(self, name, inner)
        self.inner = name

    def forward(self, x):
        return getattr(self, self.inner)(x)


class Conv(Held):
    def __init__(self, inputs, outputs, size=1, dilation=1):
        super().__init__("conv", nn.Conv1d(inputs, outputs, size, dilation=dilation))
        self.reach = dilation * (size // 2)

    def forward(self, x):
        return self.conv(F.pad(x, (self.reach, self.reach), mode="reflect") if self.reach else x)


class TDNN(nn.Module):
    def __init__(self, inputs, outputs, size=1, dilation=1):
        super().__init__()
        self.conv = Conv(inputs, outputs, size, dilation)
        self.norm = Held("norm", nn.BatchNorm1d(outputs))

    def forward(self, x):
        return self.norm(F.relu(self.conv(x)))


class Res2(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        part = channels // 8
        self.blocks = nn.ModuleList([TDNN(part, part, 3, dilation) for _ in range(7)])

    def forward(self, x):
        first, *rest = torch.chunk(x, 8, dim=1)
        found = [first]
        for number, part in enumerate(rest):
            found.append(self.blocks[number](part + found[-1] if number else part))
        return torch.cat(found, dim=1)


class SE(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = Conv(channels, 128), Conv(128, channels)

    def forward(self, x):
        mean = x.mean(dim=2, keepdim=True)
        return x * torch.sigmoid(self.conv2(F.relu(self.conv1(mean))))


class Block(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.tdnn1, self.tdnn2 = TDNN(channels, channels), TDNN(channels, channels)
        self.res2net_block = Res2(channels, dilation)
        self.se_block = SE(channels)

    def forward(self, x):
        return x + self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))))


class ASP(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.tdnn, self.conv = TDNN(3 * channels, 128), Conv(128, channels)

    @staticmethod
    def moments(x, weight):
        mean = (weight * x).sum(2)
        variance = (weight * (x - mean[..., None]) ** 2).sum(2)
        return mean, torch.sqrt(variance.clamp(1e-12))

    def forward(self, x):
        whole = self.moments(x, torch.full_like(x, 1 / x.shape[2]))
        context = torch.cat([x, *(m[..., None].expand_as(x) for m in whole)], dim=1)
        weight = torch.softmax(self.conv(torch.tanh(self.tdnn(context))), dim=2)
        return torch.cat(self.moments(x, weight), dim=1)[..., None]


class ECAPA(nn.Module):
    """[B, T, 80] to [B, 192]."""

    def __init__(self, channels):
        super().__init__()
        first = TDNN(80, channels, 5)
        self.blocks = nn.ModuleList([first, *(Block(channels, d) for d in (2, 3, 4))])
        self.mfa = TDNN(3 * channels, 3 * channels)
        self.asp = ASP(3 * channels)
        self.asp_bn = Held("norm", nn.BatchNorm1d(6 * channels))
        self.fc = Conv(6 * channels, 192)

    def forward(self, features):
        x = self.blocks[0](features.transpose(1, 2))
        found = []
        for block in self.blocks[1:]:
            x = block(x)
            found.append(x)
        return self.fc(self.asp_bn(self.asp(self.mfa(torch.cat(found, dim=1)))))[..., 0]


def seeded(channels):
    """A twin whose every weight and statistic is random."""
    torch.manual_seed(0)
    twin = ECAPA(channels).eval()
    with torch.no_grad():
        for name, value in twin.state_dict().items():
            if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
                value.copy_(torch.rand_like(value) + 0.5)
            elif name.endswith(("bias", "running_mean")):
                value.copy_(0.3 * torch.randn_like(value))
    return twin


def fbank(waveform):
    """SpeechBrain's 80 bands in decibels, of mean 0 over each clip [B, T]: [B, frames, 80]."""
    window = torch.hamming_window(400)
    spectrum = torch.stft(
        waveform, 400, 160, 400, window, center=True, pad_mode="constant", return_complex=True
    )
    power = spectrum.abs().pow(2).transpose(1, 2)
    mel = torch.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)
    hz = 700 * (10 ** (mel / 2595) - 1)
    slope = (torch.linspace(0, 8000, 201)[:, None] - hz[1:-1]) / (hz[1:-1] - hz[:-2])
    bands = torch.clamp(torch.minimum(slope + 1, 1 - slope), min=0)
    level = 10 * torch.log10(torch.clamp(power @ bands, min=1e-10))
    level = torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - 80)
    return level - level.mean(dim=1, keepdim=True)
