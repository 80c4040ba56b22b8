"""Draws simple scenes: a kind of place or subject at a time of day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Draw = ImageDraw.ImageDraw

TIMES = ("dawn", "day", "dusk", "night")
_SKIES: dict[str, tuple[Colour, Colour]] = {  # top and horizon
    "dawn": ((120, 150, 200), (250, 205, 190)),
    "day": ((60, 130, 220), (190, 220, 245)),
    "dusk": ((60, 45, 100), (240, 120, 50)),
    "night": ((8, 10, 35), (30, 40, 85)),
}
_LIGHT = {"dawn": 0.8, "day": 1.0, "dusk": 0.55, "night": 0.28}


class _Scene:
    """A canvas of `side` pixels whose coordinates run from 0 to 1, with the light of its time."""

    def __init__(self, time: str, side: int, rng: np.random.Generator) -> None:
        self.time, self.rng, self.side = time, rng, side * 2
        top, low = (np.array(colour, float) for colour in _SKIES[time])
        mix = np.clip(np.linspace(0, 1.6, self.side), 0, 1)[:, None, None]
        sky = (top * (1 - mix) + low * mix) * rng.uniform(0.93, 1.07)
        rows = np.broadcast_to(sky, (self.side, self.side, 3)).clip(0, 255).astype(np.uint8)
        self.image = Image.fromarray(np.ascontiguousarray(rows))
        self.draw = ImageDraw.Draw(self.image)
        self._lights()

    def jitter(self, value: float, by: float = 0.03) -> float:
        return value + float(self.rng.uniform(-by, by))

    def lit(self, colour: Colour, shade: float = 1.0) -> Colour:
        light = _LIGHT[self.time] * shade
        warm = (1.0, 0.92, 0.85) if self.time == "dusk" else (0.9, 0.95, 1.15)
        tint = warm if self.time in ("dusk", "night") else (1.0, 1.0, 1.0)
        red, green, blue = (int(min(255, c * light * t)) for c, t in zip(colour, tint, strict=True))
        return red, green, blue

    def polygon(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self.draw.polygon([(x * self.side, y * self.side) for x, y in points], fill=colour)

    def box(self, left: float, top: float, right: float, low: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, low), (left, low)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        s = self.side
        self.draw.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=colour)

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        scaled = [(x * self.side, y * self.side) for x, y in points]
        self.draw.line(scaled, fill=colour, width=max(1, int(width * self.side)))

    def ground(self, horizon: float, colour: Colour) -> None:
        steps = 8
        for step in range(steps):
            top = horizon + (1 - horizon) * step / steps
            self.box(0, top, 1, 1, self.lit(colour, 0.75 + 0.35 * step / steps))

    def finished(self) -> Image.Image:
        half = self.image.resize((self.side // 2, self.side // 2), Image.Resampling.BOX)
        return half.filter(ImageFilter.GaussianBlur(0.4))

    def _lights(self) -> None:
        if self.time == "night":
            for x, y in self.rng.uniform(0, 1, (25, 2)):
                self.ellipse(x, y * 0.5, 0.005, 0.005, (235, 235, 220))
            self.ellipse(self.jitter(0.75), self.jitter(0.18), 0.07, 0.07, (240, 240, 215))
        else:
            height = {"dawn": 0.42, "day": 0.15, "dusk": 0.45}[self.time]
            colour = (255, 250, 215) if self.time == "day" else (255, 215, 140)
            self.ellipse(self.jitter(0.25), self.jitter(height), 0.075, 0.075, colour)


def _sea(s: _Scene) -> None:
    horizon = s.jitter(0.52)
    s.ground(horizon, (40, 110, 170))
    for _ in range(14):
        x, y = s.rng.uniform(0, 1), s.rng.uniform(horizon + 0.03, 1)
        s.line([(x, y), (x + 0.12, y)], 0.006, s.lit((190, 220, 235)))


def _mountains(s: _Scene) -> None:
    s.ground(0.72, (90, 130, 80))
    for middle, height, shade in ((0.2, 0.35, 0.8), (0.75, 0.28, 0.9), (0.47, 0.4, 1.0)):
        x, top = s.jitter(middle), s.jitter(height)
        s.polygon([(x - 0.38, 0.75), (x, top), (x + 0.38, 0.75)], s.lit((120, 115, 135), shade))
        snow = [(x - 0.09, top + 0.1), (x, top), (x + 0.09, top + 0.1), (x, top + 0.07)]
        s.polygon(snow, s.lit((245, 245, 250)))


def _forest(s: _Scene) -> None:
    s.ground(0.7, (70, 100, 50))
    for middle in (0.08, 0.9, 0.3, 0.7, 0.5):
        x, low = s.jitter(middle), s.jitter(0.8, 0.06)
        s.box(x - 0.02, low - 0.1, x + 0.02, low + 0.03, s.lit((90, 60, 35)))
        for part in range(3):
            y, half = low - 0.08 - 0.14 * part, 0.15 - 0.035 * part
            s.polygon(
                [(x - half, y), (x, y - 0.22), (x + half, y)], s.lit((35, 95, 50), 1 + 0.12 * part)
            )


def _desert(s: _Scene) -> None:
    s.ground(0.6, (225, 180, 110))
    s.polygon([(0, 0.68), (s.jitter(0.3), 0.52), (0.7, 0.72), (0, 0.75)], s.lit((205, 155, 90)))
    x = s.jitter(0.68)
    green = s.lit((60, 125, 60))
    s.line([(x, 0.86), (x, 0.42)], 0.055, green)
    s.line([(x, 0.66), (x + 0.13, 0.66), (x + 0.13, 0.5)], 0.04, green)
    s.line([(x, 0.72), (x - 0.12, 0.72), (x - 0.12, 0.58)], 0.04, green)


def _city(s: _Scene) -> None:
    s.ground(0.85, (85, 85, 90))
    windows = (250, 220, 120) if s.time in ("dusk", "night") else s.lit((170, 200, 220))
    for column, height in enumerate((0.5, 0.3, 0.42, 0.22, 0.48, 0.36)):
        left, top = 0.02 + column * 0.165, s.jitter(height, 0.05)
        shade = 0.8 + 0.2 * (column % 3)
        s.box(left, top, left + 0.14, 0.87, s.lit((125, 120, 135), shade))
        for y in np.arange(top + 0.04, 0.82, 0.08):
            for x in (left + 0.03, left + 0.08):
                s.box(x, y, x + 0.03, y + 0.04, windows)


def _house(s: _Scene, x: float, low: float, size: float, wall: Colour) -> None:
    s.box(x - size, low - size, x + size, low, s.lit(wall))
    roof = [(x - size * 1.2, low - size), (x, low - size * 1.9), (x + size * 1.2, low - size)]
    s.polygon(roof, s.lit((170, 60, 45)))
    glow = (250, 220, 120) if s.time in ("dusk", "night") else s.lit((120, 160, 190))
    s.box(x - size * 0.7, low - size * 0.75, x - size * 0.25, low - size * 0.35, glow)
    s.box(x + size * 0.2, low - size * 0.65, x + size * 0.6, low, s.lit((90, 60, 40)))


def _village(s: _Scene) -> None:
    s.ground(0.62, (120, 150, 80))
    for x, low, size in ((0.25, 0.75, 0.1), (0.75, 0.74, 0.1), (0.5, 0.92, 0.15)):
        _house(s, s.jitter(x), low, size, (235, 220, 190))


def _lighthouse(s: _Scene) -> None:
    s.ground(0.6, (45, 110, 165))
    s.polygon([(0.45, 1), (0.5, 0.68), (0.9, 0.64), (1, 0.8), (1, 1)], s.lit((110, 95, 80)))
    x = s.jitter(0.7)
    for part in range(5):
        y = 0.66 - 0.085 * part
        half = 0.075 - 0.007 * part
        s.box(
            x - half, y - 0.085, x + half, y, s.lit((200, 50, 45) if part % 2 else (240, 240, 235))
        )
    lamp = (255, 240, 150)
    s.box(x - 0.04, 0.17, x + 0.04, 0.235, lamp)
    s.polygon([(x - 0.06, 0.17), (x, 0.11), (x + 0.06, 0.17)], s.lit((120, 40, 40)))


def _harbour(s: _Scene) -> None:
    s.ground(0.5, (50, 115, 160))
    for middle, y, size in ((0.28, 0.66, 0.14), (0.72, 0.82, 0.2)):
        x = s.jitter(middle)
        hull = [
            (x - size, y),
            (x + size, y),
            (x + size * 0.65, y + size * 0.4),
            (x - size * 0.65, y + size * 0.4),
        ]
        s.line([(x, y), (x, y - size * 2)], 0.012, s.lit((90, 60, 40)))
        s.polygon(
            [(x + 0.015, y - size * 1.9), (x + 0.015, y - 0.03), (x + size * 0.8, y - 0.03)],
            s.lit((245, 240, 225)),
        )
        s.polygon(hull, s.lit((160, 60, 45)))


def _bridge(s: _Scene) -> None:
    s.ground(0.62, (70, 125, 150))
    stone = s.lit((165, 150, 130))
    y = s.jitter(0.52)
    s.box(0, y, 1, y + 0.1, stone)
    s.box(0, y - 0.03, 1, y, s.lit((190, 175, 150)))
    for x in (0.02, 0.34, 0.66, 0.98):
        s.box(x - 0.05, y, x + 0.05, 0.86, stone)
        s.polygon(
            [
                (x - 0.05, y + 0.1),
                (x + 0.05, y + 0.1),
                (x + 0.1, y + 0.1),
                (x, y + 0.24),
                (x - 0.1, y + 0.1),
            ],
            stone,
        )


def _river(s: _Scene) -> None:
    s.ground(0.45, (100, 145, 70))
    bend = s.jitter(0.5, 0.08)
    water = s.lit((70, 140, 190))
    s.polygon(
        [
            (0.47, 0.45),
            (0.53, 0.45),
            (bend + 0.3, 0.65),
            (0.62, 0.8),
            (0.85, 1),
            (0.2, 1),
            (0.35, 0.78),
            (bend + 0.12, 0.65),
        ],
        water,
    )


def _fox(s: _Scene) -> None:
    s.ground(0.5, (235, 240, 248))
    x, y = s.jitter(0.5), s.jitter(0.68)
    fur = s.lit((215, 110, 40))
    s.ellipse(x + 0.02, y, 0.26, 0.14, fur)
    s.ellipse(x + 0.27, y + 0.06, 0.13, 0.07, s.lit((240, 225, 210)))
    s.ellipse(x - 0.22, y - 0.06, 0.12, 0.1, fur)
    for ear in (-0.3, -0.19):
        s.polygon(
            [(x + ear - 0.03, y - 0.12), (x + ear + 0.02, y - 0.25), (x + ear + 0.06, y - 0.12)],
            fur,
        )
    s.ellipse(x - 0.27, y - 0.03, 0.06, 0.045, s.lit((245, 235, 225)))
    s.ellipse(x - 0.3, y - 0.035, 0.018, 0.018, (25, 20, 20))


def _portrait(s: _Scene) -> None:
    x = s.jitter(0.5)
    s.polygon(
        [(x - 0.38, 1), (x - 0.24, 0.72), (x + 0.24, 0.72), (x + 0.38, 1)], s.lit((150, 50, 60))
    )
    s.ellipse(x, 0.4, 0.25, 0.3, s.lit((80, 50, 35)))
    s.box(x - 0.08, 0.6, x + 0.08, 0.78, s.lit((210, 160, 130)))
    s.ellipse(x, 0.46, 0.19, 0.24, s.lit((235, 190, 160)))
    for eye in (-0.075, 0.075):
        s.ellipse(x + eye, 0.43, 0.025, 0.02, (30, 25, 30))
    s.line([(x - 0.06, 0.58), (x, 0.6), (x + 0.06, 0.58)], 0.018, s.lit((170, 60, 60)))


def _flowers(s: _Scene) -> None:
    s.ground(0.72, (150, 105, 70))
    x = s.jitter(0.5)
    for dx, dy in ((-0.2, 0.3), (0.2, 0.3), (0, 0.2), (-0.1, 0.42), (0.11, 0.42)):
        s.line([(x, 0.6), (x + dx, dy)], 0.015, s.lit((60, 120, 50)))
        s.ellipse(x + dx, dy, 0.085, 0.085, s.lit((240, 190, 40)))
        s.ellipse(x + dx, dy, 0.035, 0.035, s.lit((110, 65, 30)))
    s.polygon(
        [(x - 0.13, 0.56), (x + 0.13, 0.56), (x + 0.09, 0.86), (x - 0.09, 0.86)],
        s.lit((60, 100, 170)),
    )


_DRAWERS: dict[str, Callable[[_Scene], None]] = {
    "sea": _sea,
    "mountains": _mountains,
    "forest": _forest,
    "desert": _desert,
    "city": _city,
    "village": _village,
    "lighthouse": _lighthouse,
    "harbour": _harbour,
    "bridge": _bridge,
    "river": _river,
    "fox": _fox,
    "portrait": _portrait,
    "flowers": _flowers,
}
KINDS = tuple(_DRAWERS)


def draw_scene(kind: str, time: str, side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a scene of `kind` at `time`, `side` pixels wide and high."""
    scene = _Scene(time, side, rng)
    _DRAWERS[kind](scene)
    return scene.finished()
