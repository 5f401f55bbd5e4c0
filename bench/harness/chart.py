"""The chart that README shows, as SVG without any library: CPU of a stateful call over the rate, and goodput
under overload."""

WIDTH, HEIGHT = 1_080, 440
PANEL_TOP, PANEL_BOTTOM = 92, 62
GAP, LEFT, RIGHT = 92, 66, 28
INK, QUIET, GRID = "#1c2733", "#5d6b7a", "#e4e8ec"
STYLES = {
    "tandem": ("Tandem", "#0a7d5a", "", 3),
    "floor": ("echo floor", "#8d99a6", "5 4", 2),
    "kamailio": ("Kamailio, well set", "#d1603d", "", 2.5),
    "kamailio_default": ("Kamailio, Debian's default", "#e8a48e", "2 3", 2),
    "formula": ("the most that sockets allow", "#8d99a6", "5 4", 2),
}


def draw(costs, overload, caption):
    """`costs` and `overload`: {curve: [(x, y)]}. None when there is nothing to draw."""
    panels = [panel for panel in (
        ("CPU of a stateful call", "calls per second", "microseconds per call", costs),
        ("Goodput under overload, CPU quota", "calls per second offered", "calls per second carried", overload),
    ) if any(panel[3].values())]
    if not panels:
        return None
    width = (WIDTH - LEFT - RIGHT - GAP * (len(panels) - 1)) / len(panels)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="Inter, Helvetica, Arial, sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>']
    for place, (title, x_name, y_name, curves) in enumerate(panels):
        left = LEFT + place * (width + GAP)
        out += _panel(left, width, title, x_name, y_name, {name: curve for name, curve in curves.items() if curve})
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 12}" fill="{QUIET}" font-size="11">{caption}</text>')
    out.append("</svg>\n")
    return "\n".join(out)


def _panel(left, width, title, x_name, y_name, curves):
    points = [point for curve in curves.values() for point in curve]
    x_step, x_top = _scale(max(x for x, _ in points))
    # One curve far above all others must not flatten them.
    y_step, y_top = _scale(_highest(curves))
    top, bottom = PANEL_TOP, HEIGHT - PANEL_BOTTOM - 28
    x = lambda value: left + width * value / x_top
    y = lambda value: bottom - (bottom - top) * min(value, y_top * 1.02) / y_top
    out = [f'<text x="{left}" y="32" font-size="17" font-weight="600" fill="{INK}">{title}</text>',
           f'<text x="{left}" y="{top - 14}" font-size="12" fill="{QUIET}">{y_name}</text>']
    for value in _steps(y_step, y_top):
        out.append(f'<line x1="{left}" x2="{left + width:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{GRID}"/>')
        out.append(f'<text x="{left - 10}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{QUIET}">{value:,.0f}</text>')
    for value in _steps(x_step, x_top):
        out.append(f'<text x="{x(value):.1f}" y="{bottom + 20}" text-anchor="middle" fill="{QUIET}">{value:,.0f}</text>')
    out.append(f'<text x="{left + width / 2:.1f}" y="{bottom + 40}" text-anchor="middle" font-size="12" fill="{QUIET}">{x_name}</text>')
    legend = left
    for name, curve in curves.items():
        label, colour, dashes, thick = STYLES.get(name, (name, INK, "", 2))
        line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in sorted(curve))
        style = f' stroke-dasharray="{dashes}"' if dashes else ""
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{thick}" '
                   f'stroke-linejoin="round" stroke-linecap="round"{style}/>')
        for a, b in sorted(curve):
            out.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="{thick + 0.8}" fill="#fff" stroke="{colour}" stroke-width="2"/>')
            if b > y_top:
                out.append(f'<text x="{x(a) + 9:.1f}" y="{y(b) + 4:.1f}" font-size="11" fill="{colour}">{b:,.0f}</text>')
        out.append(f'<line x1="{legend:.1f}" x2="{legend + 18:.1f}" y1="52" y2="52" stroke="{colour}" stroke-width="{thick}"{style}/>')
        out.append(f'<text x="{legend + 23:.1f}" y="56" font-size="12" fill="{INK}">{label}</text>')
        legend += 48 + 6.4 * len(label)
    return out


def _highest(curves):
    """The top of the axis: what is more than twice the highest of the other curves is cut, with its figure beside it."""
    tops = sorted(max(value for _, value in curve) for curve in curves.values())
    return tops[-2] if len(tops) > 2 and tops[-1] > 2 * tops[-2] else tops[-1]


def _scale(highest):
    """(step, top) of an axis: round steps, four to six of them."""
    step = 10 ** len(str(int(highest)))
    for divisor in (1, 2, 4, 5, 10, 20, 40, 50, 100):
        if highest / (step / divisor) >= 4:
            step /= divisor
            break
    top = step
    while top < highest:
        top += step
    return step, top


def _steps(step, top):
    value = 0
    while value <= top + step / 100:
        yield value
        value += step
