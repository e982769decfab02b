"""A vision transformer for small images, its parts named as timm names them."""

import torch
from torch import Tensor, nn


class EncoderLayer(nn.Module):
    """Attention and an MLP of four times the width, each behind a norm; (N, tokens, width) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Two residual sums."""
        normed = self.norm1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class SmallVisionTransformer(nn.Module):
    """Patches, a class token, encoder layers, a norm and a linear classifier.

    Args:
        image_size: side of the images.
        patch: side of the patches; it divides the image.
        width: of the tokens.
        depth: number of encoder layers.
        heads: of the attention; they divide the width.
        classes: outputs of the classifier.
    """

    def __init__(self, image_size: int, patch: int, width: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, (image_size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(EncoderLayer(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> logits (N, classes)."""
        if x.shape[-2:] != (self.image_size, self.image_size):
            side = self.image_size
            raise ValueError(
                f"images of {x.shape[-2]} x {x.shape[-1]}, not of {side} x {side}: option image_size"
            )
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens))[:, 0])
