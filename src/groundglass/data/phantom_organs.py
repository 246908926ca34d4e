"""Everything in the phantom's thorax that is not lung: wall, bones, heart, airways, belly."""

import numpy as np

from groundglass.data.phantom_anatomy import CARINA_MM, HILA_MM, Thorax, ellipse
from groundglass.data.phantom_canvas import Canvas

AIR_HU = -1000.0
FAT_HU = -95.0
MUSCLE_HU = 52.0
BLOOD_HU = 42.0
LIVER_HU = 62.0
BONE_HU = 210.0
CORTEX_HU = 620.0


def paint_body(canvas: Canvas, thorax: Thorax) -> None:
    """Skin, fat, muscle, ribs, spine, sternum and the organs between and below the lungs."""
    x, y, z = canvas.x, canvas.y, canvas.z
    body, cage = thorax.body(x, y, z), thorax.cage(x, y, z)
    canvas.paint(body < 0, 45.0)
    canvas.paint(body < -2, FAT_HU)
    wall = (cage < 17.0 + 5.0 * np.cos(x / 40.0)) & (body < -4.0)
    canvas.paint(wall, MUSCLE_HU)
    canvas.paint(cage < 2.0, FAT_HU)
    _paint_ribs(canvas, thorax)
    _paint_scapulae(canvas)
    _paint_spine(canvas)
    _paint_sternum_and_clavicles(canvas, thorax)
    _paint_belly(canvas, thorax)
    _paint_mediastinum(canvas, thorax)


def paint_table(canvas: Canvas, thorax: Thorax) -> None:
    """The curved table under the back: two thin shells with foam between them."""
    top = thorax.depth + 36.0
    part = canvas.within(y=(top - 30.0, top + 60.0), x=(-168.0, 176.0))
    depth = part.y - top + 0.0011 * (part.x - 3.0) ** 2
    part.paint(np.broadcast_to((depth > 0) & (depth < 22), part.values.shape), -940.0)
    shell = ((depth > 0) & (depth < 3)) | ((depth > 20) & (depth < 23))
    part.paint(np.broadcast_to(shell, part.values.shape), -250.0)


def paint_airways(canvas: Canvas, *, oesophagus_air: bool) -> None:
    """Trachea, both main bronchi and the oesophagus."""
    carina = np.array(CARINA_MM)
    upper = np.array([0.0, 2.0, -60.0])
    tubes = [(upper, carina, 8.6)]
    tubes += [(carina, np.array(hilum), 6.6 - side) for side, hilum in enumerate(HILA_MM)]
    gullet = (np.array([9.0, 22.0, -60.0]), np.array([8.0, 32.0, 215.0]))
    canvas.tube(*gullet, 7.5, 38.0)
    for start, end, radius in tubes:
        canvas.tube(start, end, radius + 1.6, 35.0)
    for start, end, radius in tubes:
        canvas.tube(start, end, radius, -985.0)
    if oesophagus_air:
        canvas.tube(np.array([9.0, 22.0, 20.0]), np.array([8.5, 26.0, 95.0]), 3.2, -900.0)


def _paint_ribs(canvas: Canvas, thorax: Thorax) -> None:
    part = canvas.within(z=(12.0, 275.0))
    x, y, z = part.x, part.y, part.z
    depth = thorax.cage(x, y, z)
    # ribs run downwards from the spine to the front; each is an oval in the wall
    phase = np.mod(z + 0.42 * y + 0.02 * x, 25.0) - 12.5
    oval = ((depth - 5.0) / 4.2) ** 2 + (phase / 5.6) ** 2
    gap = (np.abs(x) > 26.0) | (y > 40.0)
    part.paint((oval < 1.0) & gap, CORTEX_HU)
    part.paint((oval < 0.5) & gap, BONE_HU)


def _paint_scapulae(canvas: Canvas) -> None:
    for side, tilt in ((-1.0, 0.55), (1.0, 0.5)):
        part = canvas.within(z=(20.0, 128.0), y=(30.0, 112.0))
        along = side * part.x - 92.0
        sheet = part.y - 74.0 + tilt * along
        reach = (along / 38.0) ** 2 + ((part.z - 68.0) / 56.0) ** 2 < 1
        part.paint((np.abs(sheet) < 3.4) & reach, CORTEX_HU * 0.7)


def _paint_spine(canvas: Canvas) -> None:
    part = canvas.within(x=(-46.0, 46.0), y=(30.0, 116.0))
    x, y, z = part.x, part.y, part.z
    level = np.mod(z + 4.0, 24.0)
    disc = level < 5.0
    body = (x / 19.0) ** 2 + ((y - 60.0) / 16.0) ** 2
    part.paint((x / 24.0) ** 2 + ((y - 62.0) / 24.0) ** 2 < 1, MUSCLE_HU)
    back = ((np.abs(x) - 18.0) / 20.0) ** 2 + ((y - 96.0) / 13.0) ** 2 < 1
    part.paint(np.broadcast_to(back, part.values.shape), MUSCLE_HU)
    ring = (x / 14.0) ** 2 + ((y - 84.0) / 12.0) ** 2
    process = (np.abs(x) < 3.2) & (y > 90) & (y < 110.0) & (level > 10)
    across = (np.abs(x) < 36.0) & (np.abs(y - 82.0 - 0.1 * np.abs(x)) < 4.0) & (level > 14)
    part.paint(across | process, CORTEX_HU * 0.8)
    part.paint((ring < 1.0) & (level > 6), CORTEX_HU * 0.8)
    part.paint((body < 1) & ~disc, CORTEX_HU)
    part.paint((body < 0.82) & ~disc, BONE_HU)
    part.paint((body < 1) & disc, 85.0)
    part.paint(np.broadcast_to(ring < 0.45, part.values.shape), 22.0)


def _paint_sternum_and_clavicles(canvas: Canvas, thorax: Thorax) -> None:
    part = canvas.within(x=(-30.0, 30.0), y=(-120.0, -40.0), z=(38.0, 205.0))
    depth = thorax.cage(part.x, part.y, part.z)
    plate = ((depth - 6.5) / 5.2) ** 2 + ((part.x + 1.0) / 19.0) ** 4
    part.paint(plate < 1, CORTEX_HU * 0.8)
    part.paint(plate < 0.5, BONE_HU * 0.8)
    for side, rise in ((-1.0, 4.0), (1.0, 1.0)):
        start = np.array([side * 18.0, -58.0, 36.0 + rise])
        end = np.array([side * 128.0, -22.0, 12.0 + rise])
        canvas.tube(start, end, 6.5, CORTEX_HU)
        canvas.tube(start, end, 4.2, BONE_HU)


def _paint_belly(canvas: Canvas, thorax: Thorax) -> None:
    """Liver on the right, spleen and a stomach with gas over fluid on the left."""
    part = canvas.within(z=(180.0, 1e4))
    x, y, z = part.x, part.y, part.z
    cage = thorax.cage(x, y, z)
    under_right = z > thorax.right_diaphragm(x, y)
    under_left = z > thorax.left_diaphragm(x, y)
    inside = cage < -3.0
    part.paint(inside & (x < 0) & under_right, FAT_HU)
    liver = (
        (x < 46.0 - 0.25 * (z - 210.0) - 0.3 * y)
        & (cage < -5.0)
        & (ellipse(x, y - 62.0, 27.0, 32.0) > 0)
    )
    part.paint(liver & (z > thorax.right_diaphragm(x, y) + 3.0) & (x < 8.0), LIVER_HU)
    part.paint(liver & (z > thorax.left_diaphragm(x, y) + 4.0) & (x >= 8.0) & (y < 30), LIVER_HU)
    spleen = ((x - 82.0) / 32.0) ** 2 + ((y - 50.0) / 30.0) ** 2 + ((z - 278.0) / 44.0) ** 2 < 1
    part.paint(spleen & under_left & (cage < -5.0), 50.0)
    center = (x - 62.0) ** 2 / 40.0**2 + (y + 18.0) ** 2 / 34.0**2
    stomach = center + ((z - thorax.left_dome - 46.0) / 38.0) ** 2
    part.paint((stomach < 1) & under_left, 40.0)
    part.paint((stomach < 0.8) & under_left, 18.0)
    # the patient lies on the back: gas rises to the front
    part.paint((stomach < 0.8) & under_left & (y < -14.0), -990.0)
    colon = ((x - 100.0) / 17.0) ** 2 + ((y + 12.0) / 20.0) ** 2 + ((z - 288.0) / 14.0) ** 2
    part.paint((colon < 1) & inside, 30.0)
    part.paint((colon < 0.72) & inside, -960.0)


def _paint_mediastinum(canvas: Canvas, thorax: Thorax) -> None:
    """Heart and the great vessels."""
    x, y, z = thorax.heart
    heart = canvas.within(x=(x - 75, x + 75), y=(y - 65, y + 65), z=(z - 75, z + 75))
    heart.paint(thorax.in_heart(heart.x, heart.y, heart.z), BLOOD_HU)
    tubes = [
        ((-14, -12, 165), (-14, -8, 108), 15.0),  # ascending aorta
        ((-14, -8, 106), (8, 14, 96), 14.0),  # aortic arch
        ((8, 14, 96), (24, 38, 106), 13.0),
        ((25, 40, 106), (20, 40, 320), 12.5),  # descending aorta
        ((-29, 2, 40), (-29, 0, 165), 9.0),  # superior vena cava
        ((-10, -16, 92), (-6, -14, -20), 6.0),  # brachiocephalic trunk
        ((14, 8, 92), (26, 2, -20), 5.0),  # left subclavian and carotid arteries
        ((12, -28, 160), (16, -12, 128), 13.5),  # pulmonary trunk
        ((14, -6, 130), (-38, 6, 136), 10.0),  # right pulmonary artery
        ((16, -8, 128), (42, 14, 130), 10.5),  # left pulmonary artery
        ((-2, 8, 162), (-40, 22, 158), 8.0),  # pulmonary veins
        ((10, 8, 160), (42, 24, 158), 8.0),
    ]
    for start, end, radius in tubes:
        canvas.tube(np.array(start, float), np.array(end, float), radius, BLOOD_HU)
    canvas.tube(np.array([0.0, -8.0, -60.0]), np.array([0.0, -8.0, 44.0]), 22.0, MUSCLE_HU)
