"""What is made of a mask afterwards: single objects, and their outlines in the coordinates of the picture. numpy; objects want scipy."""

import numpy as np

FOUR = ((0, 1, 0), (1, 1, 1), (0, 1, 0))
"""Pixels hang together by their sides, not by their corners."""


def objects(there: np.ndarray, least: int = 1) -> np.ndarray:
    """Connected pixels as objects: bool [height, width] to uint16 of the same shape, 0 for none, then 1, 2, ... from the top left; those of fewer than `least`
    pixels are left out. Objects that touch are one."""
    from scipy import ndimage

    numbers, count = ndimage.label(there, FOUR)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    kept = np.flatnonzero(sizes[1:] >= least) + 1
    names = np.zeros(count + 1, np.uint16)
    names[kept[:65_535]] = np.arange(1, min(len(kept), 65_535) + 1)
    found: np.ndarray = names[numbers]
    return found


def outlines(there: np.ndarray, tolerance: float = 0.0) -> list[np.ndarray]:
    """The borders of a region as closed polygons, float [corners, 2], x before y: bool [height, width] to the longest first.

    Corners lie between pixels: the pixel in column x and row y covers x to x + 1 and y to y + 1, and (0, 0) is the top left corner of the picture. The
    region is to the right of its border, so that outer borders run clockwise on the screen (area above 0 by the shoelace formula) and those of holes against
    it. With a `tolerance` above 0, corners are left out as long as the border moves by no more than so many pixels (Douglas and Peucker 1973).
    """
    loops = [_straightened(loop) for loop in _loops(there)]
    if tolerance > 0:
        loops = [_simplified(loop, tolerance) for loop in loops]
    return sorted((loop.astype(float) for loop in loops), key=lambda loop: -_length(loop))


def area(polygon: np.ndarray) -> float:
    """Of a closed polygon [corners, 2], above 0 where it runs clockwise on the screen."""
    x, y = polygon.T
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _length(loop: np.ndarray) -> float:
    return float(np.hypot(*(np.roll(loop, -1, axis=0) - loop).T).sum())


def _loops(there: np.ndarray) -> list[np.ndarray]:
    """Every border, corner by corner: int [corners, 2]."""
    padded = np.pad(np.asarray(there, bool), 1)
    inside = padded[1:-1, 1:-1]
    edges = []  # from x0, y0 to x1, y1, the region on the right
    for neighbour, ((ax, ay), (bx, by)) in ((padded[:-2, 1:-1], ((0, 0), (1, 0))), (padded[1:-1, 2:], ((1, 0), (1, 1))),
                                            (padded[2:, 1:-1], ((1, 1), (0, 1))), (padded[1:-1, :-2], ((0, 1), (0, 0)))):
        y, x = np.nonzero(inside & ~neighbour)
        edges.append(np.stack([x + ax, y + ay, x + bx, y + by], axis=1))
    leaving: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for x0, y0, x1, y1 in np.concatenate(edges).tolist():
        leaving.setdefault((x0, y0), []).append((x1, y1))
    loops = []
    while leaving:
        start = next(iter(leaving))
        loop, at, came = [start], start, (0, 0)
        while True:
            ways = leaving[at]
            turn = [way for way in ways if (way[0] - at[0], way[1] - at[1]) == (-came[1], came[0])]  # where two corners meet, turn right: they stay apart
            to = turn[0] if turn else ways[0]
            ways.remove(to)
            if not ways:
                del leaving[at]
            came, at = (to[0] - at[0], to[1] - at[1]), to
            if at == start:
                break
            loop.append(at)
        loops.append(np.array(loop))
    return loops


def _straightened(loop: np.ndarray) -> np.ndarray:
    """Without corners in the middle of a straight line."""
    before, after = loop - np.roll(loop, 1, axis=0), np.roll(loop, -1, axis=0) - loop
    kept: np.ndarray = loop[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return kept


def _simplified(loop: np.ndarray, tolerance: float) -> np.ndarray:
    """With fewer corners, none further than `tolerance` from the new border; at least three."""
    far = int(np.hypot(*(loop - loop[0]).T).argmax())
    halves = loop[: far + 1], np.concatenate([loop[far:], loop[:1]])
    kept = np.concatenate([_thinned(half, tolerance)[:-1] for half in halves])
    return kept if len(kept) >= 3 else loop


def _thinned(line: np.ndarray, tolerance: float) -> np.ndarray:
    """An open line with fewer corners; the ends stay."""
    keep, todo = {0, len(line) - 1}, [(0, len(line) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        along, rest = line[last] - line[first], line[first + 1 : last] - line[first]
        length = max(float(np.hypot(*along)), 1e-12)
        distance = np.abs(along[0] * rest[:, 1] - along[1] * rest[:, 0]) / length
        worst = int(distance.argmax())
        if distance[worst] > tolerance:
            keep.add(first + 1 + worst)
            todo += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return line[sorted(keep)]
