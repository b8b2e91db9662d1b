//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/swampline/live/bench/internal/load"
	"github.com/swampline/live/bench/internal/server"
)

// workshop holds the programs that are measured.
type workshop struct {
	dir   string
	built map[string]built // by directory and package, or script
}

type built struct {
	program []string
	err     error
}

// build makes a server's program, once.
func (w *workshop) build(s spec) ([]string, error) {
	key := s.Dir + " " + s.Package + s.Script
	b, known := w.built[key]
	if !known {
		if s.Script != "" {
			b.program = []string{"node", filepath.Join(s.Dir, s.Script)}
			b.err = quietly(exec.Command("npm", "ci", "--prefix", s.Dir, "--no-audit", "--no-fund"))
		} else {
			file := filepath.Join(w.dir, strings.NewReplacer("/", "-", ".", "", " ", "").Replace(key))
			cmd := exec.Command("go", "-C", s.Dir, "build", "-o", file, s.Package)
			cmd.Env = append(os.Environ(), "GOWORK=off")
			b.program, b.err = []string{file}, quietly(cmd)
		}
		w.built[key] = b
	}
	return b.program, b.err
}

// quietly runs a command and shows what it said only if it failed.
func quietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// process is a server that runs.
type process struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	watchdog *time.Timer
	ready    server.Ready
	keys     int
}

// longest is how long a server may run.
const longest = 3 * time.Minute

// start runs a server. Cores is how many it may use, zero for all that there are.
func (w *workshop) start(s spec, transport string, cores int, args ...string) (*process, error) {
	program, err := w.build(s)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program[0], slices.Concat(program[1:], s.Args, []string{"-transport", transport}, args)...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the keyboard is ours: it ends with its input
	if cores > 0 {
		p.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cores))
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.watchdog = time.AfterFunc(longest, func() { _ = p.cmd.Process.Kill() })
	if err := p.answer(&p.ready); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", p.cmd, err)
	}
	return p, nil
}

// stop ends the server.
func (p *process) stop() {
	_ = p.in.Close()
	end := time.AfterFunc(2*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // it ends by itself or is killed; neither says anything new
	end.Stop()
	p.watchdog.Stop()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// answer reads the next line.
func (p *process) answer(into any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server says nothing: %w", err)
	}
	return json.Unmarshal(line, into)
}

// ask gives a command that is answered.
func (p *process) ask(command string, into any) error {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return err
	}
	return p.answer(into)
}

// publish is the load.Publish of the server.
func (p *process) publish(first, count int) error {
	var err error
	if p.keys > 0 {
		_, err = fmt.Fprintf(p.in, "publish %d %d %d\n", first, count, p.keys)
	} else {
		_, err = fmt.Fprintf(p.in, "publish %d %d\n", first, count)
	}
	return err
}

// memory is what the server holds.
type memory struct {
	server.Stats
	resident int64
}

func (p *process) memory() (m memory, err error) {
	if err = p.ask("stats", &m.Stats); err != nil {
		return m, err
	}
	if m.resident, err = load.Resident(p.pid()); err != nil {
		return m, err
	}
	if m.Memory == 0 { // it does not know
		m.Memory, m.Live = uint64(m.resident), uint64(m.resident)
	}
	return m, nil
}

// profile has a profile written.
func (p *process) profile(words string) error {
	var answer struct {
		Error string `json:"error"`
	}
	if err := p.ask("profile "+words, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}
