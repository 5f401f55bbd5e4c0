"""The chart that README shows: CPU of a stateful call over the rate, as SVG without any library."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 400, 70, 50, 46, 170
COLOURS = {"tandem": "#0b6e4f", "floor": "#9a9a9a", "kamailio": "#c8553d", "kamailio_default": "#e8a598"}
TITLES = {"tandem": "Tandem", "floor": "floor (echo)", "kamailio": "Kamailio, tlsf", "kamailio_default": "Kamailio, Debian default"}


def draw(curves, title):
    """`curves`: {candidate: [(calls a second, microseconds)]}."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    right = max(rate for rate, _ in points) * 1.05
    top = max(value for _, value in points) * 1.1
    x = lambda rate: LEFT + (WIDTH - LEFT - RIGHT) * rate / right
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="15" fill="#222">{title}</text>']
    for step in range(6):
        value, rate = top * step / 5, right * step / 5
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e6e6e6"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{value:.0f}</text>')
        out.append(f'<text x="{x(rate):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#555">{rate:,.0f}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#222">calls per second</text>')
    out.append(f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#222">CPU microseconds per call</text>')
    for place, (name, curve) in enumerate(curves.items()):
        colour = COLOURS.get(name, "#333")
        line = " ".join(f"{x(rate):.1f},{y(value):.1f}" for rate, value in sorted(curve))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(rate):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for rate, value in curve]
        out.append(f'<text x="{WIDTH - RIGHT + 14}" y="{TOP + 20 * place + 4}" fill="{colour}">{TITLES.get(name, name)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)
