package postgres

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// dieWithParent ends the process, at the latest, with the thread that started it.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// pause stops the server and then its children, of which it can make no more, and returns whom to resume.
func pause(server int) ([]int, error) {
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	stopped := []int{server}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the only error is a malformed pattern
	for _, stat := range stats {
		line, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// The name stands in parentheses and may hold anything: 1234 (postgres) S 1200 …
		var state string
		var parent int
		after := line[bytes.LastIndexByte(line, ')')+1:]
		if _, err := fmt.Sscan(string(after), &state, &parent); err != nil || parent != server {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil && syscall.Kill(pid, syscall.SIGSTOP) == nil {
			stopped = append(stopped, pid)
		}
	}
	return stopped, nil
}

// resume lets the children go on before the server, which would wonder about them.
func resume(stopped []int) {
	for i := len(stopped) - 1; i >= 0; i-- {
		_ = syscall.Kill(stopped[i], syscall.SIGCONT) // the only error is that it has ended
	}
}
