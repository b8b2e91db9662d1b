//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// report is a run, as it is stored.
type report struct {
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	Commit  string   `json:"commit"`
	Command string   `json:"command"`
	Took    string   `json:"took"`
	Rounds  int      `json:"rounds"`
	Goals   []judged `json:"goals"`
	Figures figures  `json:"figures"`
}

// store is the report as JSON, a figure a line.
func (r report) store() ([]byte, error) {
	var b bytes.Buffer
	found := r.Figures
	r.Figures = nil
	head, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return nil, err
	}
	b.Write(bytes.TrimSuffix(head, []byte("null\n}")))
	b.WriteString("[")
	for i, f := range found {
		for name, v := range f.Values { // four digits say more than was measured
			f.Values[name], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
		}
		line, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n\t\t")
		b.Write(line)
	}
	b.WriteString("\n\t]\n}\n")
	return b.Bytes(), nil
}

func newReport(found figures, took time.Duration) report {
	return report{
		Date: time.Now().UTC().Format("2006-01-02"), Machine: machine(), Commit: said("git", "describe", "--always", "--dirty", "--abbrev=12"),
		Command: strings.Join(append([]string{"go -C bench run ./fanout"}, os.Args[1:]...), " "), Took: took.Round(time.Second).String(),
		Rounds: *rounds, Goals: judge(found), Figures: found,
	}
}

func readReport(file string) (r report, err error) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	r.Goals = judge(r.Figures)
	return r, err
}

// machine says what this is.
func machine() string {
	model := "an unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s, %s, loopback", runtime.NumCPU(), model, said("uname", "-sr"), runtime.Version())
}

// said is what a command prints, or that nobody knows.
func said(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// publish prints the report and, with the directory docs/, stores it.
func (r report) publish(dir string) error {
	text := r.markdown()
	fmt.Print(text)
	if dir == "" {
		return nil
	}
	data, err := r.store()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "performance.json"), data, 0o666); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "images", "performance.svg"), []byte(r.draw()), 0o666); err != nil {
		return err
	}
	return put(filepath.Join(dir, "performance.md"), text)
}

const (
	opening = "<!-- what follows is written by make bench -->\n"
	closing = "<!-- what precedes is written by make bench -->\n"
)

// put puts the tables between the two marks of a page.
func put(file, text string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(page, []byte(opening))
	_, after, ends := bytes.Cut(rest, []byte(closing))
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the tables: it needs the lines %q and %q", file, opening, closing)
	}
	return os.WriteFile(file, []byte(string(before)+opening+"\n"+text+"\n"+closing+string(after)), 0o666)
}
