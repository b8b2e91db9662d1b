//go:build unix

package postgres

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// configure makes the command run as somebody else when we are root, whom PostgreSQL refuses.
func configure(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if uid, gid, ok := servant(); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	dieWithParent(cmd.SysProcAttr)
}

// giveAway hands the directory to whom the server will run as.
func giveAway(dir string) error {
	if uid, gid, ok := servant(); ok {
		return os.Chown(dir, uid, gid)
	}
	return nil
}

// servant returns the user that the server runs as instead of root.
func servant() (uid, gid int, ok bool) {
	if os.Getuid() != 0 {
		return 0, 0, false
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil {
			return uid, gid, true
		}
	}
	return 0, 0, false // the server will say what it has against root
}

// shutDown ends the server at once, with all its processes.
func shutDown(p *os.Process) { _ = p.Signal(syscall.SIGQUIT) } // the only error is that it has ended already

// interrupt ends the server in order, without waiting for its clients.
func interrupt(p *os.Process) { _ = p.Signal(syscall.SIGINT) }
