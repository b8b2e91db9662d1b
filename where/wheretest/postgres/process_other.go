//go:build !unix

package postgres

import (
	"os"
	"os/exec"
)

func configure(*exec.Cmd) {}

func giveAway(string) error { return nil }

// shutDown ends the server at once.
func shutDown(p *os.Process) { _ = p.Kill() } // the only error is that it has ended already

// interrupt ends the server at once: there is no signal to ask it politely.
func interrupt(p *os.Process) { _ = p.Kill() }
