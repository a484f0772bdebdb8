"""The pen: draws one shape in the picture's style, and the subject's shapes into a mask as well."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import skia

from training import palette
from training.palette import RGB

SIDE = 256
Points = Sequence[tuple[float, float]]


def _argb(color: RGB, alpha: float = 1.0) -> int:
    r, g, b = (round(min(255.0, max(0.0, x))) for x in color)
    return int(skia.ColorSetARGB(round(255 * alpha), r, g, b))


class Pen:
    """Draws in a space of 256 units (y down), or inside `placed` in the subject's own (y up, height 1).

    `style` decides fill and outline; `time` decides the light on things. While `subject` is set, shapes
    also mark the mask and carry an outline in every style; `marks` marks the mask without being the subject
    (the sun, the moon).
    """

    def __init__(self, style: str, time: str, gloom: float = 1.0, *, scale: int = 1) -> None:
        self.style, self.time = style, time
        light = palette.LIGHT[time]
        self.light: RGB = (light[0] * gloom, light[1] * gloom, light[2] * gloom)
        self.pixels = np.zeros((SIDE * scale, SIDE * scale, 4), np.uint8)
        self.mask_pixels = np.zeros_like(self.pixels)
        self.canvas = skia.Canvas(self.pixels)
        self.mask = skia.Canvas(self.mask_pixels)
        self.canvas.scale(scale, scale)
        self.mask.scale(scale, scale)
        self.unit = 1.0
        self.subject = False
        self.marks = False

    # What a colour becomes

    def lit(self, color: RGB) -> RGB:
        """The colour in the light of the time; the subject keeps more of its own."""
        if self.style in ("line art", "neon"):
            return color
        r, g, b = self.light
        if self.subject:
            r, g, b = (x**0.45 for x in (r, g, b))
            color = palette.mix(color, (110, 112, 170), max(0.0, 0.5 - g) * 0.6)
        return palette.shade(color, (r, g, b))

    def _fill(self, color: RGB, height: float) -> RGB:
        match self.style:
            case "line art":
                share = 0.5 if self.subject else 0.14
                return palette.mix(palette.paper(self.time, height), color, share)
            case "neon":
                return palette.mix((10, 8, 30), palette.vivid(color), 0.3 if self.subject else 0.1)
            case _:
                return color

    def _edge(self, color: RGB) -> tuple[RGB, float] | None:
        match self.style:
            case "line art":
                ink = palette.NIGHT_INK if self.time == "night" else palette.INK
                return ink, 3.6 if self.subject else 2.6
            case "neon":
                return palette.vivid(color), 4.0 if self.subject else 2.6
            case _ if self.subject:
                dark = palette.brightness(color) < 70
                return palette.mix(
                    color, (235, 235, 250) if dark else (24, 16, 34), 0.42 if dark else 0.5
                ), 3.0
            case _:
                return None

    # Shapes

    def shape(
        self, path: skia.Path, color: RGB, *, glow: bool = False, edge: bool = True, alpha: float = 1.0
    ) -> None:
        """Fills the path; `glow` is for things that shine by themselves, `edge=False` leaves the outline
        out.
        """
        color = color if glow else self.lit(color)
        fill = self._fill(color, 0.8) if not (glow and self.style == "neon") else palette.vivid(color)
        paint = skia.Paint(AntiAlias=True, Color=_argb(fill, alpha))
        self.canvas.drawPath(path, paint)
        rim = self._edge(color) if edge else None
        if rim is not None:
            pen = skia.Paint(
                AntiAlias=True,
                Color=_argb(rim[0], alpha),
                Style=skia.Paint.kStroke_Style,
                StrokeWidth=rim[1] / self.unit,
                StrokeJoin=skia.Paint.kRound_Join,
            )
            self.canvas.drawPath(path, pen)
        if self.subject or self.marks:
            self.mask.drawPath(path, skia.Paint(AntiAlias=True, Color=0xFFFFFFFF))

    def poly(
        self, points: Points, color: RGB, *, glow: bool = False, edge: bool = True, alpha: float = 1.0
    ) -> None:
        path = skia.Path()
        path.addPoly([skia.Point(x, y) for x, y in points], True)
        self.shape(path, color, glow=glow, edge=edge, alpha=alpha)

    def blob(self, points: Points, color: RGB, *, glow: bool = False, edge: bool = True) -> None:
        """A closed smooth curve that runs through the middles of the points' polygon."""
        path = skia.Path()
        count = len(points)
        middle = [
            ((points[i][0] + points[(i + 1) % count][0]) / 2, (points[i][1] + points[(i + 1) % count][1]) / 2)
            for i in range(count)
        ]
        path.moveTo(*middle[-1])
        for point, end in zip(points, middle, strict=True):
            path.quadTo(*point, *end)
        path.close()
        self.shape(path, color, glow=glow, edge=edge)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        color: RGB,
        *,
        glow: bool = False,
        edge: bool = True,
        turn: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        path = skia.Path()
        path.addOval(skia.Rect.MakeLTRB(-rx, -ry, rx, ry))
        path.transform(skia.Matrix.RotateDeg(turn).postTranslate(x, y))
        self.shape(path, color, glow=glow, edge=edge, alpha=alpha)

    def box(
        self,
        left: float,
        low: float,
        right: float,
        high: float,
        color: RGB,
        *,
        round_: float = 0.0,
        glow: bool = False,
        edge: bool = True,
    ) -> None:
        path = skia.Path()
        path.addRoundRect(
            skia.Rect.MakeLTRB(min(left, right), min(low, high), max(left, right), max(low, high)),
            round_,
            round_,
        )
        self.shape(path, color, glow=glow, edge=edge)

    def stroke(
        self, points: Points, color: RGB, width: float, *, glow: bool = False, alpha: float = 1.0
    ) -> None:
        """A line with round ends; the width is in the present space's units."""
        color = color if glow else self.lit(color)
        edge = self._edge(color)
        path = skia.Path()
        path.addPoly([skia.Point(x, y) for x, y in points], False)
        if edge is not None and width * self.unit > 6:
            self._line(self.canvas, path, edge[0], width + 2 * edge[1] / self.unit, alpha)
            color = self._fill(color, 0.8)
        elif edge is not None and self.style in ("line art", "neon"):
            color = edge[0]
        self._line(self.canvas, path, color, width, alpha)
        if self.subject:
            self._line(self.mask, path, (255, 255, 255), width, 1.0)

    @staticmethod
    def _line(canvas: skia.Canvas, path: skia.Path, color: RGB, width: float, alpha: float) -> None:
        paint = skia.Paint(
            AntiAlias=True,
            Color=_argb(color, alpha),
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=width,
            StrokeCap=skia.Paint.kRound_Cap,
            StrokeJoin=skia.Paint.kRound_Join,
        )
        canvas.drawPath(path, paint)

    @contextmanager
    def placed(self, x: float, foot: float, height: float) -> Iterator[None]:
        """The subject's own space: origin at its foot, y up, one unit is its height."""
        for canvas in (self.canvas, self.mask):
            canvas.save()
            canvas.translate(x, foot)
            canvas.scale(height, -height)
        self.unit, self.subject = height, True
        yield
        self.unit, self.subject = 1.0, False
        for canvas in (self.canvas, self.mask):
            canvas.restore()

    def backdrop(self, top: RGB, bottom: RGB) -> None:
        """Fills the picture with a gradient, as is: the sky."""
        shader = skia.GradientShader.MakeLinear(
            points=[skia.Point(0, 0), skia.Point(0, SIDE * 0.68)], colors=[_argb(top), _argb(bottom)]
        )
        self.canvas.drawPaint(skia.Paint(Shader=shader))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture [S, S, 3] and the subject's mask [S, S], both uint8; S is 256 times the scale."""
        order = [2, 1, 0] if skia.kN32_ColorType == skia.kBGRA_8888_ColorType else [0, 1, 2]
        return np.ascontiguousarray(self.pixels[..., order]), self.mask_pixels[..., 3].copy()


def ring(x: float, y: float, radius: float, count: int, start: float = 0.0) -> list[tuple[float, float]]:
    """Points around a circle."""
    turns = (start + 2 * math.pi * i / count for i in range(count))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in turns]
