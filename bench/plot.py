"""Line charts as SVG, as plain as they can be: one title, two axes, a line each with its name."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 40, 50
COLOURS = ("#0b6e4f", "#c44536", "#33658a", "#d68c45", "#6a4c93", "#4a4e69")


def _nice(value):
    """A step of 1, 2 or 5 times a power of ten, at least `value`."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def _short(value):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def lines(title, x_name, y_name, series):
    """`series`: {name: [(x, y), ...]}, a dashed line where a name ends with *. The SVG's text. Both axes begin at 0."""
    points = [p for one in series.values() for p in one]
    x_step = _nice(max(max(x for x, _ in points), 1e-9) / 5)
    y_step = _nice(max(max(y for _, y in points), 1e-9) / 5)
    x_max = x_step * math.ceil(max(x for x, _ in points) / x_step - 1e-9)
    y_max = y_step * math.ceil(max(y for _, y in points) / y_step - 1e-9)

    def place(x, y):
        return (LEFT + x / x_max * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
           f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_name)}</text>',
           f'<text transform="rotate(-90)" x="{-(TOP + HEIGHT - BOTTOM) / 2}" y="16" '
           f'text-anchor="middle">{escape(y_name)}</text>']
    for k in range(round(y_max / y_step) + 1):
        x, y = place(0, k * y_step)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(round(k * y_step, 9))}</text>')
    for k in range(round(x_max / x_step) + 1):
        x, y = place(k * x_step, 0)
        out.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{_short(k * x_step)}</text>')
    last = -100.0
    order = sorted(series.items(), key=lambda one: -one[1][-1][1])
    for number, (name, one) in enumerate(order):
        colour = COLOURS[number % len(COLOURS)]
        dashed = ' stroke-dasharray="6 4"' if name.endswith("*") else ""
        at = [place(x, y) for x, y in one]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
        last = max(at[-1][1] + 4, last + 15)  # Names do not lie upon each other.
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{last:.1f}" fill="{colour}">{escape(name.rstrip("*"))}</text>')
    return "\n".join(out + ["</svg>", ""])
