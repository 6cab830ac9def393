# SPDX-License-Identifier: BSD-2-Clause
#
# The card from the figures: the table, the ratios to direct forwarding, what Sekisho is to reach, and
# the plot (SVG, written here: one panel a column, one bar a gateway).

import html
import statistics

from measure import COLUMNS, SCANS

COLOURS = {"direct": "#888888", "splice": "#3b78b5", "inspect": "#4f9d69", "sekisho": "#d1662b"}


def medians(rounds):
    """{peer: [{column: value}]} to {peer: {column: median}}."""
    result = {}
    for name, figures in rounds.items():
        result[name] = {}
        for column in (*COLUMNS, *SCANS):
            values = [figure[column] for figure in figures if figure.get(column) is not None]
            if values:
                result[name][column] = statistics.median(values)
    return result


def lines_of(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                   zip(row[1:], widths[1:])]) for row in rows]


def table(peers, figures, rounds):
    rows = [["gateway"] + [heading for heading, *_ in COLUMNS.values()],
            [""] + [unit for _, unit, *_ in COLUMNS.values()]]
    for peer in peers:
        cells = [peer.title]
        for column, (_, _, digits, _, _) in COLUMNS.items():
            value = figures[peer.name].get(column)
            cells.append("-" if value is None else "%.*f" % (digits, value))
        rows.append(cells)
    lines = lines_of(rows)
    lines.insert(2, "-" * max(map(len, lines)))
    spread = [["lowest to highest"] + [""] * (len(COLUMNS))]
    for peer in peers:
        cells = [peer.title]
        for column, (_, _, digits, _, _) in COLUMNS.items():
            values = [f[column] for f in rounds[peer.name] if f.get(column) is not None]
            cells.append("%.*f-%.*f" % (digits, min(values), digits, max(values))
                         if len(values) > 1 else "-")
        spread.append(cells)
    if any(len(figure) > 1 for figure in rounds.values()):
        lines += [""] + lines_of(spread)
    return lines


def ratios(peers, figures):
    """Each figure as a share of direct forwarding's in the same run."""
    chosen = [column for column in COLUMNS if column in figures["direct"]]
    rows = [["times direct forwarding"] + [COLUMNS[column][0] for column in chosen]]
    for peer in peers:
        if peer.name == "direct":
            continue
        own = figures[peer.name]
        rows.append([peer.title] + ["%.2f" % (own[column] / figures["direct"][column])
                                    if column in own else "-" for column in chosen])
    return lines_of(rows)


# (Sekisho's row, column, what it is compared with, the bound: at least when more is better, else at most)
GOALS = [
    ("sekisho-splice", "new", ("haproxy-splice", "nginx-splice", "squid-splice"), 1.0),
    ("sekisho-splice", "one", ("haproxy-splice", "nginx-splice", "squid-splice"), 1.0),
    ("sekisho-splice", "four", ("haproxy-splice", "nginx-splice", "squid-splice"), 1.0),
    ("sekisho-splice", "idle", None, 3.0),
    ("sekisho-inspect", "new", ("squid-bump",), 1.5),
    ("sekisho-inspect", "new", ("haproxy-bridge",), 1.0),
    ("sekisho-inspect", "kept", ("haproxy-bridge",), 1.0),
    ("sekisho-inspect", "h2", ("haproxy-bridge",), 1.0),
    ("sekisho-inspect", "one", ("haproxy-bridge",), 1.0),
    ("sekisho-inspect", "four", ("haproxy-bridge",), 1.0),
    ("sekisho-inspect", "first", ("direct",), 1.5),
    ("sekisho-inspect", "idle", None, 45.0),
    ("sekisho-inspect", "base", None, 12.0),
]


def scans(peers, figures):
    """What looking through a chat for the patient's links costs."""
    rows = [["CPU of a body, ms/MB", *SCANS]]
    rows += [[peer.title] + ["%.2f" % figures[peer.name][name] for name in SCANS]
             for peer in peers if all(name in figures[peer.name] for name in SCANS)]
    return lines_of(rows) if len(rows) > 1 else []


def goals(figures):
    rows = [["what is to be reached", "", "is", "wanted", ""]]
    for name, column, others, bound in GOALS:
        heading, unit, _, more, _ = COLUMNS[column]
        value = figures.get(name, {}).get(column)
        if value is None:
            continue
        what = ""
        if others:
            there = [(figures[o][column], o) for o in others if column in figures.get(o, {})]
            if not there:
                continue
            best, other = max(there) if more else min(there)
            value /= best
            what = "of " + (other if len(others) == 1 else "the best, " + other)
            unit = "x"
        good = value >= bound if more else value <= bound
        rows.append(["%s: %s %s" % (name, heading, what), "", "%.2f %s" % (value, unit),
                     "%s %g" % (">=" if more else "<=", bound), "reached" if good else "not yet"])
    return lines_of(rows) if len(rows) > 1 else []


def plot(peers, figures, caption):
    """Bars as shares of direct forwarding; for milliseconds shorter is better, and says so."""
    columns = [column for column, facts in COLUMNS.items() if facts[4]]
    left, bar, panel_gap, width = 190, 17, 46, 520
    panel = len(peers) * bar + panel_gap
    height = 60 + panel * len(columns)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" '
           'font-size="12">' % (left + width + 130, height),
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="22" font-size="14">%s</text>' % html.escape(caption)]
    for number, column in enumerate(columns):
        heading, unit, digits, more, _ = COLUMNS[column]
        top = 58 + number * panel
        out.append('<text x="10" y="%d" font-weight="bold">%s, %s (%s)</text>' % (
            top - 8, html.escape(heading), unit, "longer is better" if more else "shorter is better"))
        greatest = max([figures[p.name].get(column, 0) for p in peers]) or 1
        for at, peer in enumerate(peers):
            value = figures[peer.name].get(column)
            y = top + at * bar
            colour = COLOURS["sekisho" if peer.name.startswith("sekisho") else peer.treatment]
            out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (
                left - 6, y + 12, html.escape(peer.title)))
            if value is None:
                out.append('<text x="%d" y="%d" fill="#888888">no figure</text>' % (left + 4, y + 12))
                continue
            length = max(1.0, value / greatest * width)
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
                left, y, length, bar - 4, colour))
            out.append('<text x="%.1f" y="%d">%.*f</text>' % (left + length + 5, y + 12, digits, value))
    out.append("</svg>")
    return "\n".join(out) + "\n"
