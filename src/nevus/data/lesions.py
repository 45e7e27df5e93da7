"""Phantom lesions as paint: shape, colours and structures of the seven diagnoses, on skin."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels

Field = NDArray[np.float32]

_TEXTURE = 128


@dataclass(frozen=True)
class Look:
    """What a diagnosis tends to look like; every number is the middle of a distribution that overlaps with the others'.

    `diameter` is a part of the image's height; `asymmetry`, `irregularity` and the structures lie from 0 to 1; colours are RGB,
    the first one covers most.
    """

    diameter: float
    asymmetry: float
    irregularity: float
    softness: float
    colours: tuple[tuple[int, int, int], ...]
    opacity: float
    network: float = 0.0
    dots: float = 0.0
    vessels: float = 0.0
    lacunae: float = 0.0
    milia: float = 0.0
    scar: float = 0.0
    scale: float = 0.0
    veil: float = 0.0


LOOKS: dict[str, Look] = {
    "akiec": Look(0.46, 0.45, 0.45, 0.30, ((196, 120, 106), (214, 150, 134), (170, 96, 80)), 0.60, dots=0.25, scale=0.85),
    "bcc": Look(
        0.44, 0.45, 0.35, 0.20, ((205, 140, 128), (120, 110, 128), (226, 180, 170)), 0.60, vessels=0.9, scale=0.15, veil=0.15
    ),
    "bkl": Look(
        0.50, 0.32, 0.28, 0.07, ((142, 102, 72), (178, 138, 98), (108, 78, 58)), 0.75, network=0.15, milia=0.8, scale=0.2
    ),
    "df": Look(0.34, 0.15, 0.14, 0.40, ((168, 116, 94), (188, 140, 118)), 0.60, network=0.3, scar=0.9),
    "mel": Look(
        0.58, 0.65, 0.60, 0.13, ((82, 56, 46), (132, 86, 62), (56, 52, 66), (160, 96, 84)), 0.88, network=0.4, dots=0.5, veil=0.55
    ),
    "nv": Look(0.40, 0.18, 0.15, 0.22, ((122, 82, 58), (150, 106, 76)), 0.80, network=0.6, dots=0.15),
    "vasc": Look(0.32, 0.22, 0.20, 0.14, ((146, 56, 56), (104, 42, 58), (178, 88, 82)), 0.85, lacunae=0.9),
}
_SKINS = ((232, 196, 178), (224, 182, 160), (214, 168, 144), (196, 148, 122), (160, 114, 88), (118, 82, 62))


@dataclass(frozen=True)
class Lesion:
    """One lesion: its look, its outline and the fields of noise its colours and structures follow, all from one seed."""

    look: Look
    skin: NDArray[np.float32]
    outline: NDArray[np.float64]
    elongation: float
    shift: NDArray[np.float64]
    textures: tuple[Field, ...]
    spots: NDArray[np.float64]

    @classmethod
    def create(cls, diagnosis: str, rng: np.random.Generator) -> "Lesion":
        """Draw a lesion of a diagnosis; part of every lesion is another diagnosis's, some more than their own."""
        other = LOOKS[str(rng.choice(list(LOOKS)))]
        look = _mixed(LOOKS[diagnosis], other, float(rng.beta(1.3, 4.2)), rng)
        orders = np.arange(1, 9)
        amplitude = look.irregularity * rng.rayleigh(0.30, 8) / orders**0.8
        amplitude[0] = look.asymmetry * rng.rayleigh(0.22)
        outline = np.stack([orders, amplitude, rng.uniform(0, 2 * np.pi, 8)])
        tone = np.array(_SKINS[rng.choice(len(_SKINS), p=[0.27, 0.27, 0.22, 0.14, 0.07, 0.03])]) + rng.normal(0, 6, 3)
        textures = tuple(_texture(rng, cells) for cells in (3, 5, 9, 18, 40))
        shift = rng.normal(0, 0.35 * look.asymmetry, 2)
        return cls(look, tone.astype(np.float32), outline, float(rng.uniform(0.75, 1.0)), shift, textures, rng.random((40, 3)))

    def paint(self, rng: np.random.Generator, height: int, width: int) -> Pixels:
        """One photo of it: turned, moved and zoomed a little by `rng`."""
        angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.15)
        centre = rng.normal(0, 0.07, 2)
        x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
        u, v = x / height / zoom - centre[0], y / height / zoom - centre[1]
        u, v = u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)
        coarse, middle, fine, grainy, pores = (_sample(texture, u, v) for texture in self.textures)
        image = self.skin * (1 + 0.05 * coarse + 0.025 * fine + 0.03 * pores)[:, :, None]
        image[:, :, 0] += 5 * middle
        inside, radius = self._mask(u, v, middle, fine, grainy)
        self._colour(image, inside, radius, u, v, (coarse, middle, fine, grainy, pores))
        self._structures(image, inside, radius, u, v, fine, grainy, pores)
        pixels: Pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return pixels

    def _mask(self, u: Field, v: Field, middle: Field, fine: Field, grainy: Field) -> tuple[Field, Field]:
        """How much of each pixel is lesion (0 to 1), and its distance from the middle in radii."""
        theta, distance = np.arctan2(v / self.elongation, u), np.hypot(u, v / self.elongation)
        orders, amplitude, phase = self.outline
        rim = 1 + sum(a * np.cos(k * theta + p) for k, a, p in zip(orders, amplitude, phase, strict=True))
        rim = rim + self.look.irregularity * (0.10 * fine + 0.05 * grainy) + 0.03 * middle
        radius = distance / (self.look.diameter / 2 * np.clip(rim, 0.35, 1.9))
        slope = np.clip((1 - radius) / max(0.04, self.look.softness) + 0.5, 0, 1)
        return (slope * slope * (3 - 2 * slope)).astype(np.float32), radius.astype(np.float32)

    def _colour(self, image: Field, inside: Field, radius: Field, u: Field, v: Field, fields: tuple[Field, ...]) -> None:
        """Lay the colours on: the first all over, the others in patches that asymmetry pushes to one side."""
        coarse, middle, fine, grainy, pores = fields
        colours = np.array(self.look.colours, np.float32)
        paint = np.broadcast_to(colours[0], image.shape) * (1 + 0.10 * middle + 0.06 * fine + 0.03 * grainy)[:, :, None]
        sided = (u * self.shift[0] + v * self.shift[1]) * 14 / self.look.diameter
        for index, colour in enumerate(colours[1:]):
            field = (middle, coarse, fine)[index % 3] * (-1) ** index + sided * (-1) ** index + 0.2 * grainy
            patch = 1 / (1 + np.exp(-(field - 0.35) * 5))
            paint = paint * (1 - patch[:, :, None]) + colour * patch[:, :, None]
        if self.look.veil:
            veil = np.clip(coarse + sided - 0.2, 0, 1) * self.look.veil * (radius < 0.85)
            paint = paint * (1 - 0.75 * veil[:, :, None]) + _rgb((92, 98, 120)) * 0.75 * veil[:, :, None]
        # Pigment takes light away: on dark skin a lesion is darker than on light skin.
        paint = paint * (0.55 + 0.45 * self.skin / _rgb(_SKINS[1]))
        cover = (inside * self.look.opacity * np.clip(1.05 + 0.18 * middle - 0.12 * radius, 0, 1.1))[:, :, None]
        image += cover * (paint + 4 * pores[:, :, None] - image)

    def _structures(
        self, image: Field, inside: Field, radius: Field, u: Field, v: Field, fine: Field, grainy: Field, pores: Field
    ) -> None:
        look = self.look
        if look.network:
            cells = 26.0
            mesh = np.cos((u + 0.03 * fine) * cells * 4) * np.cos((v + 0.03 * grainy) * cells * 4)
            image *= (1 - 0.34 * look.network * inside * np.clip(mesh, 0, 1) * np.clip(1.2 - 0.6 * radius, 0, 1))[:, :, None]
        if look.scale:
            flakes = np.clip(grainy * 0.8 + pores * 0.7 - 0.55, 0, 1) * inside * look.scale
            image += flakes[:, :, None] * (_rgb((238, 226, 214)) - image) * 0.8
        if look.scar:
            pale = np.exp(-((radius / 0.42) ** 2)) * look.scar * 0.75 * np.clip(1 + 0.5 * fine, 0, 1)
            image += pale[:, :, None] * (_rgb((232, 206, 192)) - image)
        marks = (
            (look.dots, (48, 36, 34), 0.012, 0.85),
            (look.milia, (236, 214, 176), 0.014, 0.7),
            (look.lacunae, (86, 20, 32), 0.045, 0.7),
        )
        for number, (amount, colour, size, strength) in enumerate(marks):
            self._spots(image, inside, u, v, amount, _rgb(colour), size, strength, number)
        if look.vessels:
            self._vessels(image, inside, u, v, fine)

    def _spots(
        self,
        image: Field,
        inside: Field,
        u: Field,
        v: Field,
        amount: float,
        colour: Field,
        size: float,
        strength: float,
        number: int,
    ) -> None:
        """Round marks at the lesion's own places, so that every photo of it shows the same ones."""
        for a, b, c in np.roll(self.spots, number, axis=1)[: round(amount * (18 if size < 0.03 else 12))]:
            reach = self.look.diameter / 2 * 0.85 * np.sqrt(a)
            x, y = reach * np.cos(2 * np.pi * b), reach * np.sin(2 * np.pi * b) * self.elongation
            spot = np.exp(-(((u - x) ** 2 + (v - y) ** 2) / (size * (0.6 + 0.8 * c)) ** 2)) * inside * strength
            image += spot[:, :, None] * (colour - image)

    def _vessels(self, image: Field, inside: Field, u: Field, v: Field, fine: Field) -> None:
        """Branching red lines from the rim inwards: arborising vessels."""
        for a, b, c in self.spots[: round(self.look.vessels * 6)]:
            angle = 2 * np.pi * a
            along = u * np.cos(angle) + v * np.sin(angle)
            across = -u * np.sin(angle) + v * np.cos(angle) - (b - 0.5) * 0.25 * self.look.diameter
            course = across + 0.035 * np.sin(along * (18 + 16 * c) + 6 * b) + 0.02 * fine
            width = 0.0045 + 0.004 * np.clip(along / self.look.diameter + 0.5, 0, 1)
            line = np.exp(-((course / width) ** 2)) * inside * (along > -0.1 * self.look.diameter * c) * 0.5
            image += line[:, :, None] * (_rgb((160, 62, 60)) - image)


def _rgb(colour: tuple[int, int, int]) -> Field:
    return np.array(colour, np.float32)


def _mixed(own: Look, other: Look, share: float, rng: np.random.Generator) -> Look:
    """A lesion's own numbers: those of its diagnosis, part of another's, and chance."""

    def blend(name: str, spread: float) -> float:
        middle = (1 - share) * getattr(own, name) + share * getattr(other, name)
        return float(np.clip(middle * np.exp(rng.normal(0, spread)), 0, 1))

    colours = tuple(
        tuple(
            int(value)
            for value in np.clip(
                (1 - share) * np.array(colour) + share * np.array(other.colours[0]) + rng.normal(0, 10, 3), 0, 255
            )
        )
        for colour in own.colours
    )
    names = ("asymmetry", "irregularity", "softness", "network", "dots", "vessels", "lacunae", "milia", "scar", "scale", "veil")
    return Look(
        diameter=float(np.clip(blend("diameter", 0.22), 0.15, 0.85)),
        opacity=float(np.clip(blend("opacity", 0.12), 0.3, 0.97)),
        colours=colours,  # type: ignore[arg-type]
        **{name: blend(name, 0.35) for name in names},
    )


def _texture(rng: np.random.Generator, cells: int) -> Field:
    """Smooth noise of about `cells` bumps a side, mean 0, standard deviation 1, seamless at its borders."""
    small = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    wrapped = np.pad(small, 2, mode="wrap")
    factor = _TEXTURE / cells
    size = round(wrapped.shape[0] * factor)
    large = cv2.resize(wrapped, (size, size), interpolation=cv2.INTER_CUBIC)
    start = round(2 * factor)
    field = large[start : start + _TEXTURE, start : start + _TEXTURE]
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _sample(texture: Field, u: Field, v: Field) -> Field:
    """The texture at lesion coordinates, so that it turns and moves with the lesion."""
    columns, rows = ((part * _TEXTURE).astype(np.float32) for part in (u, v))
    sampled = cv2.remap(texture, columns % _TEXTURE, rows % _TEXTURE, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(sampled, np.float32)
