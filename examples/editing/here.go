package main

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

// whoIs says who somebody is to the others, by which presence lists them. Guests may look, and are not listed.
func whoIs(ctx context.Context) (presence.Person, error) {
	p := person(ctx)
	if p.guest() {
		return presence.Person{}, nil
	}
	return presence.Person{ID: strconv.FormatInt(p.ID, 10), Name: p.Name, Info: info{p.Color}}, nil
}

// info is what else the others see of somebody.
type info struct {
	Color string `json:"color"`
}

// author is who made a change, as those are told who see it.
func author(ctx context.Context) any {
	if p := person(ctx); !p.guest() {
		return by{p.Name, p.Color}
	}
	return nil
}

type by struct {
	Name  string `json:"name"`
	Color string `json:"color"`
}

// people are those who are in an article while a page is rendered: at most four, and how many more there are. With a script the page
// goes on from there.
type people struct {
	Shown []shown
	More  int
}

// shown is one of them.
type shown struct {
	Name, Color, Doing string
	Away               bool
}

const mostShown = 4

// here returns who is in an article, without one of them.
func (a *app) here(key live.Key, but Person) (all people) {
	state := func(m presence.Member) (s struct{ State, Field string }) {
		_ = json.Unmarshal(m.State, &s) // what a client says may be of any form
		return s
	}
	seen := map[string]bool{strconv.FormatInt(but.ID, 10): true}
	members := a.presence.At(presence.Place{Router: a.articles.Name, Key: key.String()})
	// Of somebody with several tabs that counts in which they write.
	slices.SortStableFunc(members, func(x, y presence.Member) int {
		return rank(x, state(x).State) - rank(y, state(y).State)
	})
	for _, m := range members {
		if seen[m.Person] {
			continue
		}
		seen[m.Person] = true
		if len(all.Shown) == mostShown {
			all.More++
			continue
		}
		one := shown{Name: m.Name, Color: "gray", Away: m.Away}
		var i info
		if json.Unmarshal(m.Info, &i) == nil && slices.Contains(colors, i.Color) {
			one.Color = i.Color
		}
		switch {
		case state(m).State == "editing":
			one.Doing = "is editing"
		case m.Away || state(m).State == "idle":
			one.Doing = "is away"
		}
		all.Shown = append(all.Shown, one)
	}
	return all
}

// rank orders what people do: who writes comes first.
func rank(m presence.Member, state string) int {
	switch {
	case state == "editing":
		return 0
	case m.Away || state == "idle":
		return 2
	}
	return 1
}
