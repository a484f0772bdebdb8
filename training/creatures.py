"""Animals and the robot, drawn from the front, sitting or standing."""

from training.palette import PAINT, RGB, mix
from training.pen import Pen

EYE: RGB = (24, 22, 30)
BELLY: RGB = (252, 244, 230)
ROSE: RGB = (240, 156, 166)


def _eye(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.oval(x, y, radius, radius * 1.15, EYE if pen.style != "neon" else (255, 255, 255), edge=False)
    if pen.style != "neon":
        pen.oval(
            x + radius * 0.3,
            y + radius * 0.4,
            radius * 0.38,
            radius * 0.38,
            (255, 255, 255),
            glow=True,
            edge=False,
        )


def _belly(color: RGB) -> RGB:
    return mix(color, (255, 255, 255), 0.6) if min(color) < 200 else (226, 218, 224)


def fox(pen: Pen, color: RGB) -> None:
    tip = BELLY if min(color) < 200 else (206, 200, 214)
    legs = mix(color, (30, 18, 24), 0.7)
    pen.blob([(0.12, 0.02), (0.5, -0.02), (0.66, 0.3), (0.5, 0.58), (0.4, 0.3), (0.16, 0.22)], color)
    pen.blob([(0.47, 0.36), (0.63, 0.26), (0.6, 0.46), (0.5, 0.62), (0.44, 0.46)], tip)
    pen.blob([(-0.26, -0.02), (-0.3, 0.3), (-0.12, 0.56), (0.12, 0.56), (0.3, 0.3), (0.26, -0.02)], color)
    pen.oval(0, 0.27, 0.12, 0.2, tip, edge=False)
    for side in (-1, 1):
        pen.oval(side * 0.12, 0.035, 0.1, 0.05, legs)
        pen.poly([(side * 0.06, 0.74), (side * 0.34, 1.0), (side * 0.36, 0.66)], color)
        pen.poly([(side * 0.17, 0.78), (side * 0.3, 0.91), (side * 0.31, 0.74)], legs, edge=False)
    pen.blob(
        [
            (-0.3, 0.82),
            (-0.46, 0.62),
            (-0.14, 0.46),
            (0, 0.33),
            (0.14, 0.46),
            (0.46, 0.62),
            (0.3, 0.82),
            (0, 0.84),
        ],
        color,
    )
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.02, 0.6),
                (side * 0.2, 0.62),
                (side * 0.38, 0.62),
                (side * 0.16, 0.48),
                (side * 0.02, 0.36),
            ],
            tip,
            edge=False,
        )
        _eye(pen, side * 0.15, 0.67, 0.048)
    pen.oval(0, 0.42, 0.055, 0.042, EYE, edge=False)


def cat(pen: Pen, color: RGB) -> None:
    pen.stroke([(0.2, 0.08), (0.44, 0.08), (0.52, 0.24), (0.46, 0.46)], color, 0.1)
    pen.blob([(-0.27, -0.02), (-0.32, 0.28), (-0.14, 0.54), (0.14, 0.54), (0.32, 0.28), (0.27, -0.02)], color)
    pen.oval(0, 0.22, 0.13, 0.17, _belly(color), edge=False)
    for side in (-1, 1):
        pen.oval(side * 0.13, 0.04, 0.1, 0.055, _belly(color))
        pen.poly([(side * 0.08, 0.84), (side * 0.31, 1.0), (side * 0.34, 0.66)], color)
        pen.poly([(side * 0.17, 0.83), (side * 0.28, 0.91), (side * 0.3, 0.74)], ROSE, edge=False)
    pen.oval(0, 0.65, 0.36, 0.26, color)
    for side in (-1, 1):
        pen.oval(side * 0.15, 0.69, 0.08, 0.085, (196, 226, 90), glow=pen.style != "neon", edge=False)
        pen.oval(side * 0.15, 0.69, 0.03, 0.07, EYE, edge=False)
        for rise in (-0.05, 0.02):
            pen.stroke(
                [(side * 0.2, 0.56), (side * 0.46, 0.56 + rise)],
                mix(color, (255, 255, 255), 0.8) if min(color) < 160 else (90, 80, 90),
                0.02,
            )
    pen.poly([(-0.05, 0.6), (0.05, 0.6), (0, 0.54)], ROSE, edge=False)


def rabbit(pen: Pen, color: RGB) -> None:
    pen.oval(0.27, 0.14, 0.11, 0.11, _belly(color))
    pen.blob([(-0.27, -0.02), (-0.34, 0.24), (-0.14, 0.46), (0.14, 0.46), (0.34, 0.24), (0.27, -0.02)], color)
    pen.oval(0, 0.19, 0.14, 0.15, _belly(color), edge=False)
    for side in (-1, 1):
        pen.oval(side * 0.15, 0.04, 0.12, 0.055, color)
        pen.oval(side * 0.13, 0.79, 0.085, 0.22, color, turn=side * -8)
        pen.oval(side * 0.13, 0.79, 0.042, 0.16, ROSE, edge=False, turn=side * -8)
    pen.oval(0, 0.51, 0.28, 0.22, color)
    for side in (-1, 1):
        _eye(pen, side * 0.13, 0.55, 0.045)
        pen.oval(side * 0.19, 0.46, 0.055, 0.04, ROSE, edge=False, alpha=0.7)
    pen.oval(0, 0.47, 0.04, 0.03, (216, 96, 116), edge=False)


def owl(pen: Pen, color: RGB) -> None:
    dark = mix(color, (20, 14, 24), 0.34) if min(color) < 200 else (196, 190, 200)
    pen.stroke([(-0.5, 0.02), (0.5, 0.02)], (104, 70, 46), 0.055)
    for side in (-1, 1):
        pen.poly([(side * 0.08, 0.82), (side * 0.34, 1.0), (side * 0.37, 0.66)], dark)
    pen.blob(
        [(-0.34, 0.02), (-0.46, 0.4), (-0.4, 0.82), (0, 0.98), (0.4, 0.82), (0.46, 0.4), (0.34, 0.02)], color
    )
    pen.oval(0, 0.28, 0.21, 0.23, mix(color, (255, 238, 200), 0.6), edge=False)
    for side in (-1, 1):
        pen.oval(side * 0.34, 0.34, 0.1, 0.26, dark, turn=side * -6)
        pen.oval(side * 0.17, 0.67, 0.17, 0.17, (252, 246, 228))
        pen.oval(side * 0.17, 0.67, 0.105, 0.105, (250, 190, 40), glow=True, edge=False)
        pen.oval(side * 0.17, 0.67, 0.058, 0.058, EYE, edge=False)
        pen.oval(side * 0.12, 0.045, 0.075, 0.045, (244, 164, 44))
    pen.poly([(-0.06, 0.6), (0.06, 0.6), (0, 0.46)], (246, 150, 36))


def robot(pen: Pen, color: RGB) -> None:
    joint = mix(color, (30, 30, 50), 0.45) if color != PAINT["black"] else (110, 112, 124)
    shine = (90, 240, 255)
    for side in (-1, 1):
        pen.box(side * 0.07, 0.0, side * 0.22, 0.2, joint)
        pen.box(side * 0.29, 0.2, side * 0.42, 0.52, joint, round_=0.05)
    pen.box(-0.28, 0.17, 0.28, 0.55, color, round_=0.05)
    pen.box(-0.16, 0.27, 0.16, 0.43, (226, 234, 240) if min(color) < 200 else (130, 150, 180), round_=0.02)
    pen.oval(-0.07, 0.35, 0.04, 0.04, (240, 70, 60), edge=False)
    pen.oval(0.07, 0.35, 0.04, 0.04, (70, 200, 90), edge=False)
    pen.stroke([(0, 0.86), (0, 0.96)], joint, 0.045)
    pen.oval(0, 0.975, 0.055, 0.055, (248, 66, 56), glow=True)
    pen.box(-0.26, 0.58, 0.26, 0.88, color, round_=0.06)
    pen.box(-0.2, 0.66, 0.2, 0.82, (34, 38, 56), round_=0.05, edge=False)
    for side in (-1, 1):
        pen.oval(side * 0.1, 0.74, 0.06, 0.06, shine, glow=True, edge=False)
