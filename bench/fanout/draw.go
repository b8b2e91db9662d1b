//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// panel is one part of the picture: a bar for each server.
type panel struct {
	title string
	value string
	ratio bool
	form  string
}

const (
	barHeight  = 18
	labelWidth = 170
	barWidth   = 300
	panelWidth = labelWidth + barWidth + 90
)

// draw is the report as one picture: of the largest number of clients over WebSockets.
func (r report) draw() string {
	places := r.Figures.places("fanout")
	var at place
	for _, p := range places {
		if p.transport == "websocket" && p.clients >= at.clients {
			at = p
		}
	}
	names := r.Figures.at(at)
	panels := []panel{
		{"Server CPU a delivery, one message in flight (× limit-raw, less is better)", "w1_cpu", true, "%.2f"},
		{"Deliveries a second, 32 in flight (× limit-raw, more is better)", "w32_rate", true, "%.1f"},
		{"Memory of an idle connection (bytes, less is better)", "live_memory", false, "%.0f"},
	}
	high := 40 + len(panels)*(len(names)*barHeight+46)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", panelWidth, high, panelWidth, high)
	b.WriteString("<style>text{fill:#24292f}.m{fill:#57606a}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#8d96a0}}</style>\n")
	fmt.Fprintf(&b, `<text x="0" y="16" font-size="14" font-weight="bold">%s clients over WebSocket, %s</text>`+"\n", thousands(at.clients), r.Date)
	y := 40
	for _, p := range panels {
		y = r.panel(&b, p, at, names, y)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (r report) panel(b *strings.Builder, p panel, at place, names []string, y int) int {
	fmt.Fprintf(b, `<text x="0" y="%d" class="m">%s</text>`+"\n", y+12, html.EscapeString(p.title))
	y += 22
	values, most := map[string]float64{}, 0.0
	for _, name := range names {
		v, known := r.Figures.median(at, name, p.value)
		if p.ratio {
			v, known = r.Figures.ratio(at, name, raw, p.value)
		}
		if known {
			values[name], most = v, math.Max(most, v)
		}
	}
	for _, name := range names {
		v, known := values[name]
		colour := "#8c959f"
		if strings.HasPrefix(name, "live") {
			colour = "#1f883d"
		} else if strings.HasPrefix(name, "limit") {
			colour = "#0969da"
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, y+13, html.EscapeString(name))
		text := "–"
		wide := 0.0
		if known && most > 0 {
			wide, text = v/most*barWidth, fmt.Sprintf(p.form, v)
		}
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			labelWidth, y+2, wide, barHeight-4, colour, float64(labelWidth)+wide+6, y+13, text)
		y += barHeight
	}
	return y + 24
}
