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

	"github.com/swampline/live/bench/internal/server"
)

// process is a server that runs. It ends with its standard input, so at the latest with this process.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ready server.Ready
}

// start starts a server, with variables besides those of the environment.
func start(binary string, variables []string, flags ...string) (*process, error) {
	p := &process{cmd: exec.Command(binary, flags...)}
	p.cmd.Env = append(os.Environ(), variables...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.answer(&p.ready); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// ask sends a command and reads the answer.
func (p *process) ask(answer any, command string, words ...any) error {
	if err := p.tell(command, words...); err != nil {
		return err
	}
	return p.answer(answer)
}

// tell sends a command that has no answer.
func (p *process) tell(command string, words ...any) error {
	_, err := fmt.Fprintln(p.in, append([]any{command}, words...)...)
	return err
}

func (p *process) answer(into any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server ended without an answer: %w", err)
	}
	return json.Unmarshal(line, into)
}

// profile has the server write a profile, or, with off, end the one that it writes.
func (p *process) profile(words ...any) error {
	var answer struct{ Error string }
	if err := p.ask(&answer, "profile", words...); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// end ends the server and waits for it.
func (p *process) end() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}
