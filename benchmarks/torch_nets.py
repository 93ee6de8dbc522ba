"""The paper's encoders, classifier and losses in PyTorch: the same work, to be timed against."""

import math

import torch
from torch import nn
from torch.nn import functional


def _conv(channels: int, filters: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)


class _Tail(nn.Module):
    def __init__(self, size: int, embedding_size: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(size)
        self.dense = nn.Linear(size, embedding_size, bias=False)

    def forward(self, x):
        return functional.dropout(self.dense(functional.relu(self.norm(x))), 0.5, self.training)


class _SEBlock(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = _conv(channels, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv2, self.norm2 = _conv(filters, filters, 3), nn.BatchNorm2d(filters)
        self.squeeze = nn.Linear(filters, filters // 8)
        self.excite = nn.Linear(filters // 8, filters)
        self.shortcut = nn.Identity()
        if stride > 1 or channels != filters:
            conv = _conv(channels, filters, 1, stride)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.norm1(functional.relu(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        gate = self.excite(functional.relu(self.squeeze(y.mean((2, 3)))))
        y = y * torch.sigmoid(gate)[:, :, None, None]
        return functional.relu(y + self.shortcut(x))


class Voice(nn.Module):
    """Log-mel, thin SE-ResNet-34 and self-attentive pooling of waveforms [B, T]."""

    def __init__(self, embedding_size: int = 128):
        super().__init__()
        self.register_buffer("window", torch.hamming_window(400))
        self.register_buffer("mel", torch.rand(257, 40))
        self.conv, self.norm = nn.Conv2d(1, 16, 7, (2, 1), 3, bias=False), nn.BatchNorm2d(16)
        blocks, channels = [], 16
        for filters, count, stride in ((16, 3, 1), (32, 4, 2), (64, 6, 2), (128, 3, 1)):
            for number in range(count):
                blocks.append(_SEBlock(channels, filters, 1 if number else stride))
                channels = filters
        self.body = nn.Sequential(*blocks)
        self.linear, self.context = nn.Linear(128, 128), nn.Linear(128, 1, bias=False)
        self.dense, self.tail = nn.Linear(128, 512), _Tail(512, embedding_size)

    def forward(self, waveform):
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                32768.0 * waveform.float(), 512, 160, 400, self.window, return_complex=True
            )
            power = (spectrum.real**2 + spectrum.imag**2).transpose(1, 2)
            log_mel = torch.log(power @ self.mel + 1e-6).transpose(1, 2)
            log_mel = functional.instance_norm(log_mel)[:, None]
        x = self.body(functional.relu(self.norm(self.conv(log_mel))))
        frames = x.mean(2).transpose(1, 2).float()
        weight = torch.softmax(self.context(torch.tanh(self.linear(frames))), 1)
        return self.tail(self.dense((frames * weight).sum(1)))


class _IRBlock(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), _conv(channels, filters, 3)
        self.prelu = nn.PReLU(filters)
        self.conv2, self.norm2 = _conv(filters, filters, 3, stride), nn.BatchNorm2d(filters)
        self.shortcut = nn.MaxPool2d(1, stride)
        if channels != filters:
            conv = _conv(channels, filters, 1, stride)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.conv2(self.prelu(self.conv1(self.norm1(x))))
        return self.norm2(y) + self.shortcut(x)


class Face(nn.Module):
    """IR-50 of pixels [B, S, S, 3] uint8."""

    def __init__(self, embedding_size: int = 128, image_size: int = 112):
        super().__init__()
        self.conv, self.norm1, self.prelu = _conv(3, 64, 3), nn.BatchNorm2d(64), nn.PReLU(64)
        blocks, channels = [], 64
        for filters, count in ((64, 3), (128, 4), (256, 14), (512, 3)):
            for number in range(count):
                blocks.append(_IRBlock(channels, filters, 1 if number else 2))
                channels = filters
        self.body = nn.Sequential(*blocks)
        positions = math.ceil(image_size / 16) ** 2
        self.norm2, self.dense = nn.BatchNorm2d(512), nn.Linear(512 * positions, 512)
        self.norm3, self.tail = nn.BatchNorm1d(512), _Tail(512, embedding_size)

    def forward(self, pixels):
        x = pixels.permute(0, 3, 1, 2).float().sub(127.5).div(127.5)
        x = self.norm2(self.body(self.prelu(self.norm1(self.conv(x)))))
        x = self.dense(functional.dropout(x, 0.5, self.training).flatten(1))
        return self.tail(self.norm3(x))


class VoiceFace(nn.Module):
    """Both encoders, one classifier for both, the explicit loss: gives the loss of a batch."""

    def __init__(self, num_classes: int = 924, embedding_size: int = 128, image_size: int = 112):
        super().__init__()
        self.voice, self.face = Voice(embedding_size), Face(embedding_size, image_size)
        self.kernel = nn.Parameter(0.05 * torch.randn(num_classes, embedding_size))

    def forward(self, waveform, pixels, label):
        voice, face = self.voice(waveform).float(), self.face(pixels).float()
        loss = sum(functional.cross_entropy(x @ self.kernel.T, label) for x in (voice, face))
        same = label[:, None] == label
        for anchor, other in ((voice, face), (face, voice)):
            products = anchor @ functional.normalize(other).T
            excess = (products - products.diagonal()[:, None]).masked_fill(same, -1e30)
            floor = torch.full_like(excess[:, :1], math.log(5.4))
            loss = loss + 0.5 * torch.logsumexp(torch.cat([floor, excess], 1), 1).mean()
        return loss
