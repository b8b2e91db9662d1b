//go:build linux

package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// found are figures of two rounds, in which live takes twice what limit-raw takes, and 1.1 times.
func found() figures {
	at := func(server string, round int, cpu float64) figure {
		return figure{Scenario: "fanout", Transport: "websocket", Clients: 1000, Server: server, Round: round, Values: map[string]float64{"w1_cpu": cpu, "w1_rate": 1000 / cpu}}
	}
	return figures{
		at(raw, 1, 4), at(shared, 1, 8), at(raw, 2, 5), at(shared, 2, 5.5), at(raw, 3, 5), at(shared, 3, 5.25),
		{Scenario: "own", Transport: "websocket", Clients: 1000, Server: "live own", Round: 1, Problem: "it does not start\nat all"},
		{Scenario: "filters", Clients: 1, Server: "live", Round: 1, Values: map[string]float64{"publish_cpu": 3}},
		{Scenario: "filters", Clients: 1_000_000, Server: "live", Round: 1, Values: map[string]float64{"publish_cpu": 5.5}},
	}
}

func TestGoalsAreJudgedByRatiosOfARound(t *testing.T) {
	verdicts := map[string]string{}
	for _, j := range judge(found()) {
		verdicts[j.What+" "+j.Goal] = j.verdict()
	}
	for what, want := range map[string]string{
		"CPU a delivery, w1, 1000 clients, websocket ≤ 1.10 × raw":                                                "met", // the middle one
		"deliveries/s, w1, 1000 clients, websocket ≥ 0.90 × raw":                                                  "met",
		"CPU a delivery, w1, 10000 clients, websocket ≤ 1.10 × raw":                                               "not measured",
		"publish against 10⁶ distinct filters, beyond what it costs against 1, whose session never sleeps ≤ 2 µs": "**missed**",
		"measurements of live that failed ≤ 0":                                                                    "**missed**",
		"lost or doubled, all scenarios ≤ 0":                                                                      "met",
	} {
		if verdicts[what] != want {
			t.Errorf("%s: %q, want %q", what, verdicts[what], want)
		}
	}
	if len(verdicts) != len(goals()) {
		t.Errorf("%d goals have %d names", len(goals()), len(verdicts))
	}
}

func TestReportIsStored(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "images"), 0o777),
		os.WriteFile(page, []byte("before\n"+opening+"old\n"+closing+"after\n"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := newReport(found(), 0)
	for range 2 { // the second time in place of the first
		if err := r.publish(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n", "after\n", "| **live router** | 1.10 |", "it does not start\n", "| 1,000,000 | 5.50 |"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old\n") {
		t.Error("the old tables are still there")
	}
	again, err := readReport(filepath.Join(dir, "performance.json"))
	if err != nil || !reflect.DeepEqual(again.Figures, r.Figures) {
		t.Errorf("read %+v: %v", again, err)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "images", "performance.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(page, []byte("no marks"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(dir); err == nil {
		t.Error("a page without a place for the tables is taken")
	}
}
