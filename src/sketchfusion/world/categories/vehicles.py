"""Vehicles on the road, in the air and on water."""

from ..figure import SIDES, Figure, Mark, category, sides
from ..shapes import arc, box, curve, ellipse, limb, mirrored, path, ring, shift, smooth


def tyres(f: Figure, y: float, r: float, places: dict[str, float]) -> None:
    """Draw solid wheels with hubs at the same height; `places` are the wheels' x by name."""
    for name, x in places.items():
        f.add(name, ellipse(x, y, r), f.paint("plain", "black", roundness=0.3), at=(x, y))
        f.add("hub", ellipse(x, y, r * 0.5), f.paint("metal", "silver", "grey"), detail=1)


def spoked(f: Figure, x: float, y: float, r: float, name: str, spokes: int = 8) -> None:
    """Draw a thin wheel with spokes and nothing between them."""
    rubber, steel = f.paint("plain", "black", roundness=0.2), f.paint("metal", "silver", "grey")
    turn_ = f.pose(0, 360 / spokes)
    for tip in arc(x, y, r * 0.9, r * 0.9, turn_, 360 + turn_, spokes + 1)[:-1]:
        f.thin("spoke", path((x, y), tip), 0.009, steel, detail=2)
    circles = (arc(x, y, r, r, 0, 360, 33), arc(x, y, r * 0.88, r * 0.88, 0, 360, 33))
    f.add(name, ring(x, y, r, r * 0.88), rubber, strokes=circles[:1], lines=circles[1:], solid=False)
    f.dot("axle", x, y, r * 0.09, "grey", detail=2, at={name: (x, y)})


@category("car", scene="street")
def car(f: Figure) -> None:
    body = f.paint("plain", "red", "blue", "green", "yellow", "white", "silver", "orange", roundness=0.5)
    glass = f.paint("plain", "glass", roundness=0.3)
    roof, nose, back = f.trait(-0.62, -0.5), f.trait(0.34, 0.5), f.trait(-0.78, -0.56)
    cabin = [(back - 0.06, -0.16), (back + 0.14, roof + 0.02), (back + 0.24, roof), (nose - 0.22, roof),
        (nose - 0.1, roof + 0.05), (nose + 0.12, -0.16)]
    f.add("cabin", path(*cabin), body, group="coat", at={"roof": ((back + nose) / 2, roof + 0.03)})
    door = path((-0.16, -0.14), (-0.16, 0.22), (0.28, 0.22), (0.3, -0.14))
    f.add("hull", path((-0.98, -0.12), (-0.9, -0.18), (0.42, -0.18), (0.84, -0.1), (0.98, 0.02), (1.0, 0.24),
        (0.94, 0.28), (-0.96, 0.28), (-1.0, 0.2)), body, group="coat",
        lines=(door, path((-0.06, -0.04), (0.04, -0.04))), at={"bonnet": (0.72, -0.08), "boot": (-0.93, -0.08)})
    middle, top = (back + nose) / 2 + 0.05, roof + 0.07
    rear = path((back + 0.06, -0.18), (back + 0.2, top), (middle - 0.05, top), (middle - 0.05, -0.18))
    front = path((middle + 0.04, -0.18), (middle + 0.04, top), (nose - 0.18, top), (nose + 0.01, -0.18))
    f.add("rear window", rear, glass)
    f.add("front window", front, glass)
    f.add("headlight", ellipse(0.92, 0.02, 0.06, 0.07), f.paint("plain", "yellow", "white"), detail=1)
    f.add("tail light", box(-1.0, -0.06, -0.93, 0.06), f.paint("plain", "red"), detail=2)
    tyres(f, 0.28, f.trait(0.19, 0.23), {"rear wheel": -0.58, "front wheel": 0.6})


@category("truck", scene="street")
def truck(f: Figure) -> None:
    cab = f.paint("plain", "red", "blue", "green", "orange", "white", roundness=0.4)
    glass = f.paint("plain", "glass", roundness=0.3)
    cargo = f.paint("plain", "white", "silver", "yellow", "cream", "teal", roundness=0.3)
    top, front = f.trait(-0.78, -0.6), f.trait(0.28, 0.4)
    f.add("chassis", box(-1.0, 0.2, 0.96, 0.3), f.paint("metal", "night", "black"), detail=1)
    planks = [path((-1.02 + a, top + 0.03), (-1.02 + a, 0.17)) for a in (0.32, 0.64, 0.96)]
    f.add("cargo", box(-1.04, top, front - 0.02, 0.2), cargo, lines=planks if f.chance(0.5) else (),
        at={"cargo top left": (-1.0, top + 0.04), "cargo top right": (front - 0.06, top + 0.04)})
    f.add("cab", path((front + 0.04, -0.46), (front + 0.4, -0.46), (front + 0.56, -0.1), (front + 0.68, -0.04),
        (front + 0.7, 0.26), (front + 0.04, 0.26)), cab, at=(front + 0.3, 0.06))
    f.add("window", path((front + 0.16, -0.38), (front + 0.36, -0.38), (front + 0.47, -0.1), (front + 0.16, -0.1)),
        glass)
    f.add("headlight", ellipse(front + 0.65, 0.1, 0.05), f.paint("plain", "yellow"), detail=1)
    tyres(f, 0.3, f.trait(0.17, 0.21), {"rear wheel": -0.82, "middle wheel": -0.4, "front wheel": front + 0.4})


@category("bus", scene="street")
def bus(f: Figure) -> None:
    body = f.paint("plain", "yellow", "red", "blue", "green", "orange", roundness=0.4)
    glass, top, count = f.paint("plain", "glass", roundness=0.3), f.trait(-0.66, -0.52), f.count(4, 6)
    f.add("body", box(-1.05, top, 1.05, 0.36, 0.12), body, lines=(path((-1.02, 0.1), (1.02, 0.1)),),
        at={"roof front": (0.94, top + 0.06), "roof rear": (-0.94, top + 0.06)})
    pitch = 1.56 / count
    for i in range(count):
        x = -0.95 + i * pitch
        f.add("window", box(x, top + 0.12, x + pitch * 0.82, -0.06, 0.03), glass, detail=0 if i % 2 == 0 else 1)
    f.add("door", box(0.66, top + 0.14, 0.9, 0.34, 0.02), glass.shaded(0.85),
        lines=(path((0.78, top + 0.16), (0.78, 0.32)),), at=(0.78, 0.0))
    f.add("headlight", ellipse(1.0, 0.22, 0.045), f.paint("plain", "white"), detail=2)
    tyres(f, 0.38, f.trait(0.17, 0.2), {"rear wheel": -0.62, "front wheel": 0.46})


@category("bicycle", scene="street")
def bicycle(f: Figure) -> None:
    paint = f.paint("metal", "red", "blue", "green", "black", "orange", "teal")
    black, r = f.paint("plain", "black", "brown"), f.trait(0.42, 0.48)
    back, front = (-0.62, 0.3), (0.64, 0.3)
    spoked(f, *back, r, "rear wheel")
    spoked(f, *front, r, "front wheel")
    seat, crank, head = (-0.3, -0.32 - f.trait(0, 0.1)), (-0.08, 0.32), (0.46, -0.3)
    joint, stem = (-0.2, 0.04) if f.chance(0.3) else (-0.26, -0.2), (0.42, -0.46)
    for a, b in ((seat, crank), (crank, head), (back, crank), (back, (-0.26, -0.18)), (joint, head)):
        f.thin("frame", [a, b], 0.03, paint, detail=0, group="frame")
    f.thin("fork", [head, front], 0.03, paint, detail=0, group="frame")
    f.thin("stem", [head, stem], 0.026, paint, detail=0, group="frame")
    bends = {"drop": [(0.6, -0.5), (0.68, -0.4), (0.58, -0.32)], "flat": [(0.34, -0.56), (0.2, -0.52)]}
    f.thin("handlebar", [stem, *bends[f.pick("drop", "flat")]], 0.028, black, detail=0, group="frame", at=stem)
    saddle = shift(path((-0.18, -0.06), (0.16, -0.03), (0.02, 0.03), (-0.14, 0.04)), *seat)
    f.add("saddle", smooth(saddle), black, at=(seat[0], seat[1] - 0.02))
    f.add("chainring", ring(*crank, 0.11, 0.06), f.paint("metal", "silver"), detail=1,
        strokes=(arc(*crank, 0.11, 0.11, 0, 360, 20),), at={"crank": crank})
    x, y = arc(*crank, 0.2, 0.2, f.pose(0, 180), 200, 2)[0]
    f.thin("pedal arm", [(x, y), (2 * crank[0] - x, 2 * crank[1] - y)], 0.02, black)


@category("wheelchair", scene="street", unseen=True)
def wheelchair(f: Figure) -> None:
    steel, cloth = f.paint("metal", "silver", "grey", "night"), f.paint("grain", "blue", "black", "red", "teal")
    r = f.trait(0.42, 0.48)
    f.thin("push handle", [(-0.36, -0.72), (-0.44, -0.84), (-0.62, -0.84)], 0.034, steel, detail=0, at=(-0.6, -0.84))
    f.add("backrest", limb([(-0.36, -0.74), (-0.26, 0.02)], [0.065, 0.065]), cloth, at={"backrest top": (-0.36, -0.74)})
    f.add("seat", limb([(-0.24, 0.05), (0.4, 0.05)], [0.075, 0.075]), cloth, at={"seat front": (0.4, 0.05)})
    f.thin("armrest", [(-0.3, -0.3), (0.28, -0.3), (0.3, 0.0)], 0.036, steel, detail=0, at=(0.25, -0.3))
    reach = f.trait(0.66, 0.78)
    f.thin("leg rest", [(0.4, 0.06), (0.48, 0.2), (reach - 0.1, 0.72)], 0.034, steel, detail=0)
    f.thin("footrest", [(reach - 0.12, 0.72), (reach + 0.16, 0.7)], 0.04, cloth, detail=0, at=(reach + 0.14, 0.7))
    f.thin("caster fork", [(0.34, 0.1), (0.4, 0.64)], 0.028, steel)
    tyres(f, 0.74, 0.13, {"small wheel": 0.4})
    spoked(f, -0.14, 0.42, r, "big wheel", 10)
    rim = arc(-0.14, 0.42, r * 0.72, r * 0.72, 0, 360, 25)
    f.add("push rim", ring(-0.14, 0.42, r * 0.74, r * 0.69), steel, detail=1, strokes=(rim,), solid=False)


@category("airplane", scene="sky", spin=18)
def airplane(f: Figure) -> None:
    body = f.paint("plain", "white", "silver", "sky", "yellow")
    trim = f.paint("plain", "red", "blue", "orange", "navy", "green")
    glass, thick = f.paint("plain", "glass", "navy", roundness=0.2), f.trait(0.15, 0.19)
    rise, sweep = f.trait(0.4, 0.5), f.trait(0.3, 0.42)
    f.add("far wing", path((0.12, -thick * 0.6), (-0.2 - sweep, -0.5), (-0.36 - sweep, -0.5), (-0.22, -thick * 0.6)),
        body.shaded(0.8), at={"far wing tip": (-0.28 - sweep, -0.48)})
    f.add("fin", path((-0.62, -0.08), (-0.86, -0.1 - rise), (-1.06, -0.1 - rise), (-0.96, 0.0)), trim,
        at={"fin tip": (-0.96, -0.06 - rise)})
    f.add("fuselage", smooth([(1.05, 0.04), (0.92, -0.1), (0.6, -thick), (0.0, -thick), (-0.6, -0.14), (-1.05, -0.1),
        (-0.98, 0.0), (-0.5, 0.14), (0.2, thick), (0.8, 0.15)]), body, at={"nose": (1.02, 0.04)})
    f.add("cockpit", path((0.72, -0.13), (0.84, -0.12), (0.94, -0.04), (0.74, -0.04)), glass, detail=1)
    for i in range(f.count(5, 7)):
        f.add("window", ellipse(0.54 - 0.15 * i, -0.05, 0.034, 0.042), glass, detail=1)
    f.add("tailplane", path((-0.76, 0.0), (-1.14, 0.16), (-1.24, 0.14), (-1.0, -0.04)), trim, detail=1)
    reach = f.trait(0.5, 0.62)
    f.add("near wing", path((0.2, 0.06), (-0.22 - sweep, reach), (-0.42 - sweep, reach), (-0.24, 0.08)),
        body.shaded(0.92), at={"near wing tip": (-0.32 - sweep, reach - 0.02)})
    f.add("engine", limb([(-0.02, 0.3), (0.16, 0.3)], [0.06, 0.065]), trim, detail=1)


@category("helicopter", scene="sky", spin=12, unseen=True)
def helicopter(f: Figure) -> None:
    body = f.paint("plain", "red", "blue", "yellow", "dark green", "orange", "night")
    steel, glass, long = f.paint("metal", "night", "grey"), f.paint("plain", "glass", roundness=0.3), f.trait(0.7, 0.85)
    f.add("tail boom", limb([(-0.2, -0.1), (-long, -0.18)], [0.14, 0.05]), body, group="coat")
    f.add("tail fin", path((-long - 0.08, -0.44), (-long + 0.08, -0.2), (-long - 0.02, -0.1), (-long - 0.2, -0.42)),
        body, group="coat", at={"tail": (-long - 0.04, -0.2)})
    blade = f.pose(0, 90)
    for tip in arc(-long, -0.2, 0.17, 0.17, blade, blade + 180, 2):
        f.thin("tail rotor", path((-long, -0.2), tip), 0.02, steel)
    for x in (-0.14, 0.38):
        f.thin("strut", [(x, 0.26), (x + 0.02, 0.52)], 0.022, steel)
    f.thin("skid", [(-0.36, 0.54), (0.6, 0.54), (0.7, 0.46)], 0.028, steel, detail=0, at={"skid front": (0.62, 0.53)})
    door = path((0.16, -0.2), (0.16, 0.24), (-0.16, 0.24), (-0.16, -0.2))
    f.add("cabin", smooth([(0.74, 0.1), (0.58, -0.22), (0.26, -0.38), (-0.14, -0.36), (-0.42, -0.14), (-0.32, 0.2),
        (0.0, 0.34), (0.48, 0.33)]), body, group="coat", lines=(door,), at={"nose": (0.7, 0.1)})
    f.add("windscreen", smooth([(0.68, 0.04), (0.56, -0.19), (0.3, -0.29), (0.26, -0.02), (0.4, 0.08)]), glass)
    f.add("mast", box(0.06, -0.56, 0.14, -0.35), steel)
    span, tilt = f.trait(0.9, 1.05), f.pose(-0.04, 0.04)
    f.add("rotor", limb([(0.1 - span, -0.56 - tilt), (0.1, -0.58), (0.1 + span, -0.56 + tilt)], [0.032, 0.03, 0.032]),
        steel, at={"left rotor tip": (0.12 - span, -0.56 - tilt), "right rotor tip": (0.08 + span, -0.56 + tilt)})


@category("hot_air_balloon", scene="sky", spin=10)
def hot_air_balloon(f: Figure) -> None:
    one, two = f.paint("plain", "red", "blue", "purple", "green"), f.paint("plain", "yellow", "white", "orange", "sky")
    wide, low = f.trait(0.56, 0.66), f.trait(0.7, 0.84)
    rope, basket = f.paint("plain", "dark wood"), f.paint("grain", "brown", "tan", "wood")
    for x in (-0.16, 0.16):
        f.thin("rope", [(x * 0.9, 0.28), (x, low)], 0.014, rope, detail=0)
    seams = [curve([(0, -1.0), (wide * k * 0.8, -0.76), (wide * k, -0.34), (wide * k * 0.72, 0.06), (0.2 * k, 0.34)])
        for k in (-0.75, -0.28, 0.28, 0.75)]
    marks = [Mark(path(left, right[::-1]), two.rgb, drawn=False) for left, right in (seams[:2], seams[2:])]
    f.add("envelope", smooth(mirrored((0, -1.0), (wide * 0.72, -0.82), (wide, -0.36), (wide * 0.72, 0.06),
        (0.2, 0.34))), one, marks=marks, lines=seams, at={"top": (0, -0.95)} | sides("{} side", wide * 0.95, -0.36))
    f.add("basket", box(-0.19, low - 0.02, 0.19, low + 0.26, 0.04), basket,
        lines=(path((-0.19, low + 0.06), (0.19, low + 0.06)),), at=(0, low + 0.12))


@category("rocket", scene="night", spin=25)
def rocket(f: Figure) -> None:
    hull, trim = f.paint("plain", "white", "silver", "sky", "cream"), f.paint("plain", "red", "blue", "orange", "teal")
    wide, nose = f.trait(0.24, 0.3), f.trait(-0.5, -0.36)
    if f.chance(0.75):
        reach = 1.0 + f.pose(0.0, 0.16)
        flame = smooth([(-0.17, 0.6), (-0.2, 0.78), (0.0, reach), (0.2, 0.78), (0.17, 0.6)])
        f.add("flame", flame, f.paint("plain", "orange", "yellow", roundness=0.1))
        core = (flame - [0, 0.6]) * 0.52 + [0, 0.6]
        f.add("flame core", core, f.paint("plain", "yellow", "white", roundness=0.1), detail=2)
    fin = f.trait(0.28, 0.38)
    for side, tag in SIDES:
        f.add("fin", path((side * wide * 0.9, 0.2), (side * (wide + fin), 0.56), (side * (wide + fin), 0.8),
            (side * wide * 0.7, 0.6)), trim, at={f"{tag} fin": (side * (wide + fin * 0.9), 0.7)})
    f.add("nozzle", mirrored((0.16, 0.56), (0.2, 0.7)), f.paint("metal", "grey", "night"), detail=1)
    body = mirrored((0, -1.0), (wide * 0.66, -0.7), (wide, -0.25), (wide, 0.25), (wide * 0.74, 0.6))
    f.add("body", smooth(body), hull, group="hull")
    tip = mirrored((0, -1.0), (wide * 0.6, -0.76), (wide * 0.9, nose))
    f.add("nose", smooth(tip), trim, at={"nose tip": (0, -0.94)})
    for i in range(f.count(1, 2)):
        y = nose + 0.28 + 0.32 * i
        f.add("porthole rim", ellipse(0, y, 0.13), f.paint("metal", "grey", "gold"))
        f.add("porthole", ellipse(0, y, 0.09), f.paint("plain", "glass", "navy"), detail=1)
    f.add("middle fin", limb([(0, 0.42), (0, 0.76)], [0.035, 0.03]), trim, detail=1)


@category("sailboat", scene="sea")
def sailboat(f: Figure) -> None:
    hull = f.paint("wood", "brown", "red", "blue", "white", "navy")
    sail = f.paint("plain", "white", "cream", "orange", "red", "yellow")
    mast, tall = f.trait(-0.1, 0.06), f.trait(0.95, 1.15)
    f.thin("mast", [(mast, 0.5), (mast, 0.4 - tall)], 0.026, f.paint("wood", "dark wood", "wood"), detail=0,
        at={"mast top": (mast, 0.42 - tall)})
    full = f.pose(0.0, 0.1)
    f.add("main sail", path(curve([(mast - 0.05, 0.46 - tall), (mast - 0.26, 0.0), (mast - 0.62, 0.34)]),
        (mast - 0.05, 0.36)), sail, lines=(path((mast - 0.05, 0.0), (mast - 0.3, 0.05)),) if f.chance(0.5) else (),
        at={"main sail corner": (mast - 0.58, 0.33)})
    jib = curve([(mast + 0.05, 0.52 - tall), (mast + 0.34 + full, -0.02), (mast + 0.6, 0.34)])
    f.add("fore sail", path(jib, (mast + 0.06, 0.34)), sail.shaded(0.93), at={"fore sail corner": (mast + 0.56, 0.33)})
    depth = f.trait(0.26, 0.34)
    f.add("hull", curve([(1.0, 0.42), (0.76, 0.42 + depth * 0.8), (0.3, 0.42 + depth), (-0.5, 0.42 + depth),
        (-0.8, 0.42 + depth * 0.8), (-0.92, 0.42)]), hull, lines=(path((-0.86, 0.54), (0.9, 0.54)),),
        at={"bow": (0.95, 0.46), "stern": (-0.86, 0.48)})
    if f.chance(0.6):
        flag = path((mast, 0.38 - tall), (mast + 0.2, 0.43 - tall), (mast, 0.49 - tall))
        f.add("flag", flag, f.paint("plain", "red", "blue"), detail=1)
